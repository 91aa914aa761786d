import { sha256 } from '@noble/hashes/sha2.js'
import { concat, sameBytes, type Bytes } from '#core/kit/bytes'

/** SHA-256 output: what every node of the tree is. */
export const HASH_BYTES = 32

/** The hash of one entry. Sizes and indexes everywhere are safe integers; no bit operator is used, as those cut at 32 bits. */
export const leafHash = (entry: Uint8Array): Bytes => sha256(concat(Uint8Array.of(0), entry)) as Bytes

/** The hash of two neighbours. @source RFC 6962 §2.1 */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Bytes =>
  sha256(concat(Uint8Array.of(1), left, right)) as Bytes

/** The root of a tree without entries. */
export const emptyRoot = (): Bytes => sha256(new Uint8Array()) as Bytes

/**
 * The root over complete neighbouring subtrees of one size, of which only the last may be smaller.
 *
 * Pairing row by row and carrying an odd last one up gives the tree of RFC 6962 §2.1.
 */
export function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes
  if (row.length === 0) return emptyRoot()
  while (row.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i < row.length; i += 2) {
      above.push(i + 1 < row.length ? nodeHash(row[i]!, row[i + 1]!) : row[i]!)
    }
    row = above
  }
  return row[0]!
}

/** The largest power of two below `size`, where a tree of two or more entries is divided. */
function split(size: number): number {
  let half = 1
  while (half * 2 < size) half *= 2
  return half
}

/** Whether [start, end) is a subtree of some tree: not empty, and aligned to the power of two that holds it. */
function isSubtree(start: number, end: number): boolean {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || start >= end) return false
  return start % (end - start === 1 ? 1 : split(end - start) * 2) === 0
}

/** Gives the root of the subtree [start, end); asked only for subtrees of the tree at hand. */
export type SubtreeRoot = (start: number, end: number) => Promise<Uint8Array>

/**
 * Proves that the subtree [start, end) is part of the tree of `size` entries.
 *
 * One entry is the subtree [index, index + 1): its proof is an inclusion proof (RFC 6962 §2.1.1). An earlier tree is
 * [0, earlier size): its proof is a consistency proof (§2.1.2).
 *
 * @returns hashes, nearest to the subtree first
 * @throws RangeError when [start, end) is not a subtree of that tree
 * @source draft-ietf-plants-merkle-tree-certs §4.4, of which RFC 6962's two proofs are cases
 */
export async function proveSubtree(start: number, end: number, size: number, root: SubtreeRoot): Promise<Uint8Array[]> {
  if (!isSubtree(start, end) || !(end <= size)) throw new RangeError(`[${start}, ${end}) is no subtree of ${size}`)
  const wanted: [number, number][] = []
  let [from, to, whole] = [0, size, true]
  while (from !== start || to !== end) {
    const middle = from + split(to - from)
    if (end <= middle) {
      wanted.push([middle, to])
      to = middle
    } else {
      wanted.push([from, middle])
      from = middle
      // The subtree goes on past the middle: what is left of it is no longer the whole that the verifier knows.
      if (start < middle) [start, whole] = [middle, false]
    }
  }
  if (!whole) wanted.push([from, to])
  return Promise.all(wanted.reverse().map(([a, b]) => root(a, b)))
}

/**
 * Whether `proof` shows that the subtree [start, end) with root `subtreeRoot` is part of the tree of `size` entries
 * with root `root`. An empty subtree is part of every tree and its proof is empty.
 */
export function verifySubtree(
  start: number,
  end: number,
  size: number,
  subtreeRoot: Uint8Array,
  root: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(size) || !(end <= size)) return false
  if (start === end && start >= 0) return proof.length === 0 && sameBytes(subtreeRoot, emptyRoot())
  if (!isSubtree(start, end)) return false
  if (!proof.every((hash) => hash.length === HASH_BYTES)) return false
  const rest = [...proof]
  /** The roots of the subtree and of the tree [from, to), both made from the proof; undefined when it is too short. */
  const rebuild = (from: number, to: number, at: number): [Uint8Array, Uint8Array] | undefined => {
    if (from === at && to === end) {
      const known = at === start ? subtreeRoot : rest.pop()
      return known && [known, known]
    }
    const sibling = rest.pop()
    if (!sibling) return undefined
    const middle = from + split(to - from)
    const straddles = at < middle && end > middle
    const inner = end <= middle ? rebuild(from, middle, at) : rebuild(middle, to, straddles ? middle : at)
    if (!inner) return undefined
    const [small, large] = inner
    if (end <= middle) return [small, nodeHash(large, sibling)]
    return [straddles ? nodeHash(sibling, small) : small, nodeHash(sibling, large)]
  }
  const made = rebuild(0, size, start)
  return made !== undefined && rest.length === 0 && sameBytes(made[0], subtreeRoot) && sameBytes(made[1], root)
}

/** Whether the entry with hash `leaf` stands at `index` of the tree. @source RFC 6962 §2.1.1 */
export const verifyInclusion = (
  index: number,
  size: number,
  leaf: Uint8Array,
  root: Uint8Array,
  proof: readonly Uint8Array[],
): boolean => leaf.length === HASH_BYTES && verifySubtree(index, index + 1, size, leaf, root, proof)

/**
 * Whether the tree of `size` entries only added to the tree of `earlier` entries.
 *
 * False for an empty earlier tree: it is part of every tree, so a proof would say nothing about `root`.
 *
 * @source RFC 6962 §2.1.2
 */
export const verifyConsistency = (
  earlier: number,
  size: number,
  earlierRoot: Uint8Array,
  root: Uint8Array,
  proof: readonly Uint8Array[],
): boolean => earlier > 0 && verifySubtree(0, earlier, size, earlierRoot, root, proof)
