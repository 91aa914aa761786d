import { sameBytes } from '#core/kit/bytes'
import type { Checkpoint } from '#core/register/checkpoint'
import { emptyRoot, proveSubtree, verifyConsistency, type SubtreeRoot } from '#core/register/merkle'

/**
 * What two checkpoints of one register are to each other: `same`; `extends`: the larger only added to the smaller;
 * `fork`: no register has both, so whoever signed both has deceived; `unshown`: it cannot be told from what was given.
 */
export type Relation = 'same' | 'extends' | 'fork' | 'unshown'

/**
 * Tells the relation of two checkpoints. Their signatures are the caller's to check.
 *
 * @param roots - from published tiles of any tree, which are believed only as far as they lead to the larger root;
 *   asked for nothing where the sizes are the same
 */
export async function relate(a: Checkpoint, b: Checkpoint, roots?: SubtreeRoot): Promise<Relation> {
  if (a.size === b.size) return sameBytes(a.root, b.root) ? 'same' : 'fork'
  const [small, large] = a.size < b.size ? [a, b] : [b, a]
  if (small.size === 0) return sameBytes(small.root, emptyRoot()) ? 'extends' : 'fork'
  if (!roots) return 'unshown'
  const proof = await proveSubtree(0, small.size, large.size, roots)
  const beginning = await roots(0, small.size)
  if (!verifyConsistency(small.size, large.size, beginning, large.root, proof)) return 'unshown'
  // From here on the beginning is proved to be the larger tree's own: if it is not the smaller tree, nothing else is.
  return sameBytes(beginning, small.root) ? 'extends' : 'fork'
}
