import { createCipheriv, createDecipheriv, createHash, createSecretKey } from 'node:crypto'
import { letGo } from '#core/kit/bytes'
import { chunkwise, tagBytes, type PayloadCipher } from '#core/seal/stream'
import { randomBytes, type SealTools } from '#core/seal/tools'
import { elsewhere } from '#edge/seal/elsewhere'

const algorithm = 'chacha20-poly1305'

function moveInto(into: Uint8Array, bytes: Uint8Array): void {
  into.set(bytes)
  letGo(bytes)
}

const nodeCipher: PayloadCipher = (streamKey) => {
  const key = createSecretKey(streamKey)
  const cipher = chunkwise({
    seal: (nonce, plain, into) => {
      const sealing = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
      moveInto(into, sealing.update(plain))
      sealing.final()
      into.set(sealing.getAuthTag(), plain.length)
    },
    open: (nonce, sealed, into) => {
      const opening = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
      opening.setAuthTag(sealed.subarray(-tagBytes))
      moveInto(into, opening.update(sealed.subarray(0, -tagBytes)))
      try {
        opening.final()
        return true
      } catch {
        return false // It throws for one reason only: the tag does not fit.
      }
    },
  })
  return Promise.resolve(cipher)
}

/** OpenSSL's cipher and hash through `node:crypto`, for a thread that does nothing else meanwhile. */
export const threadTools: SealTools = {
  cipher: nodeCipher,
  sha256: (bytes) => Promise.resolve(new Uint8Array(createHash('sha256').update(bytes).digest())),
  digestsAtOnce: 1,
  runningSha256: () => {
    let hash = createHash('sha256')
    return {
      update: (piece) => void hash.update(piece),
      digest() {
        const digest = new Uint8Array(hash.digest())
        hash = createHash('sha256')
        return Promise.resolve(digest)
      },
    }
  },
  randomBytes,
}

/** The tools of the command line. */
export const nodeTools: SealTools = { ...threadTools, elsewhere }
