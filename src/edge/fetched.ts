import { concat, type Bytes } from '#core/kit/bytes'

/** The body of an answer, or undefined when it is longer than `limitBytes`; then no more of it is read. */
export async function bodyOf(response: Response, limitBytes: number): Promise<Bytes | undefined> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.length
    if (bytes > limitBytes) return undefined
    parts.push(part)
  }
  return concat(...parts)
}
