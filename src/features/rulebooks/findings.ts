import { ok, type Outcome } from '#core/kit/outcome'
import type { Policy } from '#core/policy/stack'
import type { House } from '#edge/house'
import { addressOf, chosenOf, factsAsked } from '#features/rulebooks/answers'
import { proofWords } from '#features/rulebooks/draft-words'
import { prove, type Proof } from '#features/rulebooks/proving'

/** Looked at once for each policy, for as long as it is kept; whoever comes meanwhile waits for the same. */
const looked = new WeakMap<Policy, Promise<Outcome<Proof>>>()

/**
 * What looking at every case of the rulebooks in force came to, in words, each finding with a case to try.
 *
 * @returns the findings; none where it took too long; or `proofs-busy`
 */
export async function findingsOf({ policy }: House) {
  const looking = looked.get(policy) ?? prove({ before: policy, after: policy, runs: [], of: 'in force' })
  looked.set(policy, looking)
  const isDone = await looking.then(
    (proof) => proof.ok && proof.value.analysis !== undefined,
    () => false,
  )
  // What took too long may have been for want of a processor: the next visit may have more luck.
  if (!isDone) looked.delete(policy)
  const proof = await looking
  if (!proof.ok) return proof
  const asked = factsAsked(policy)
  const { analysis } = proofWords(policy.vocabulary, proof.value)
  const findings = analysis?.findings.map((finding) => ({
    ...finding,
    url: addressOf('what-if', chosenOf(policy, asked, finding.example)),
  }))
  return ok({ analysis: analysis && { ...analysis, findings } })
}
