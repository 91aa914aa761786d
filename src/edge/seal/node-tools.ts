import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { concat, type Bytes } from '#core/kit/bytes'
import { chunkwise, tagBytes, type PayloadCipher } from '#core/seal/stream'
import { randomBytes, type SealTools } from '#core/seal/tools'

const algorithm = 'chacha20-poly1305'

const nodeCipher: PayloadCipher = (streamKey) =>
  Promise.resolve(
    chunkwise({
      seal: (nonce, plain) => {
        const cipher = createCipheriv(algorithm, streamKey, nonce, { authTagLength: tagBytes })
        return concat(cipher.update(plain), cipher.final(), cipher.getAuthTag())
      },
      open: (nonce, sealed) => {
        const decipher = createDecipheriv(algorithm, streamKey, nonce, { authTagLength: tagBytes })
        decipher.setAuthTag(sealed.subarray(-tagBytes))
        const plain = decipher.update(sealed.subarray(0, -tagBytes)) as Bytes
        try {
          decipher.final()
          return plain
        } catch {
          return undefined // It throws for one reason only: the tag does not fit.
        }
      },
    }),
  )

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
