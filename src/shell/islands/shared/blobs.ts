import { piecesOf, type ByteFlow } from '#core/seal/flow'

/** Never a type that a browser would show: what comes out of a parcel is saved, not opened here. */
const type = 'application/octet-stream'

/** The browser may move a blob to its own disk, so pieces are handed over in portions of this size. */
const portionBytes = 8 * 1024 * 1024

/** All of a flow as one blob. */
export async function wholeBlob(flow: ByteFlow): Promise<Blob> {
  const portions: Blob[] = []
  let pieces: BlobPart[] = []
  let sizeBytes = 0
  for await (const piece of piecesOf(flow)) {
    pieces.push(piece as Uint8Array<ArrayBuffer>)
    sizeBytes += piece.length
    if (sizeBytes < portionBytes) continue
    portions.push(new Blob(pieces))
    pieces = []
    sizeBytes = 0
  }
  return new Blob([...portions, ...pieces], { type })
}
