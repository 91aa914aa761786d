import type { House } from '#edge/house'
import { decisionById, type TransferRow } from '#features/transfers/queries'

interface Version {
  id: string
  title: string
  version: string
  sha256: string
}

/**
 * By which versions of the rulebooks a transfer was decided, and which are in force. What is in force decides an open
 * transfer once its sender decides again or sends, and not before.
 *
 * @returns undefined for a transfer that is not decided yet
 */
export async function versionsOf(
  { db, policy, rulebookVersions }: House,
  { decisionId }: TransferRow,
): Promise<{ decided: Version[]; inForce: Version[]; isOutdated: boolean } | undefined> {
  const decision = decisionId ? await decisionById(db, decisionId) : undefined
  if (!decision) return undefined
  const named = ({ id, version, sha256 }: Omit<Version, 'title'>): Version => {
    const title = policy.rulebooks.find((each) => each.id === id)?.title ?? id
    return { id, title, version, sha256 }
  }
  const decided = decision.rulebooks.map(named)
  const inForce = rulebookVersions.map(named)
  const texts = (versions: Version[]) => versions.map(({ sha256 }) => sha256).join()
  return { decided, inForce, isOutdated: texts(decided) !== texts(inForce) }
}
