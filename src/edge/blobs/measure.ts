import { createHash } from 'node:crypto'
import { fail, ok, ProblemError, type Outcome } from '#core/kit/outcome'
import type { Stored } from '#edge/blobs/blobs'

/** Counts and digests a stream on its way through; throws `ProblemError` where it must not go on. */
export function measure(source: AsyncIterable<Uint8Array>, expected: { sizeMax: number; sha256?: string }) {
  const hash = createHash('sha256')
  let sizeBytes = 0
  return {
    async *bytes(): AsyncGenerator<Uint8Array> {
      for await (const chunk of source) {
        sizeBytes += chunk.length
        if (sizeBytes > expected.sizeMax) throw new ProblemError({ slug: 'too-large' })
        hash.update(chunk)
        yield chunk
      }
    },
    /** To be asked once, after the last byte. */
    result(): Outcome<Stored> {
      const sha256 = hash.digest('hex')
      if (expected.sha256 !== undefined && sha256 !== expected.sha256) return fail('digest-differs')
      return ok({ sizeBytes, sha256 })
    },
  }
}
