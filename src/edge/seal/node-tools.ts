import { createCipheriv, createDecipheriv, createHash, createSecretKey } from 'node:crypto'
import { type Bytes } from '#core/kit/bytes'
import { chunkwise, tagBytes, type PayloadCipher } from '#core/seal/stream'
import { randomBytes, type SealTools } from '#core/seal/tools'

const algorithm = 'chacha20-poly1305'

const nodeCipher: PayloadCipher = (streamKey) => {
  const key = createSecretKey(streamKey)
  const cipher = chunkwise({
    seal: (nonce, plain, into) => {
      const sealing = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
      into.set(sealing.update(plain))
      sealing.final()
      into.set(sealing.getAuthTag(), plain.length)
    },
    open: (nonce, sealed, into) => {
      const opening = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
      opening.setAuthTag(sealed.subarray(-tagBytes))
      into.set(opening.update(sealed.subarray(0, -tagBytes)))
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

/** The tools of the command line: OpenSSL's cipher and hash through `node:crypto`. */
export const nodeTools: SealTools = {
  cipher: nodeCipher,
  sha256: async (bytes) => new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', bytes as Bytes)),
  runningSha256: () => {
    const hash = createHash('sha256')
    return {
      update: (piece) => void hash.update(piece),
      digest: () => Promise.resolve(new Uint8Array(hash.digest())),
    }
  },
  randomBytes,
}
