import { readFileSync } from 'node:fs'
import type { Browser } from '#test/house'

/** The council's rulebook as it ships. */
export const shippedCouncil = readFileSync(new URL('../../rulebooks/council.yaml', import.meta.url), 'utf8')

const nextYear = new Date(Date.now() + 300 * 86_400_000).toISOString().slice(0, 10)

/** A new version of it: a smaller limit of an email, and whatever else is changed. */
export const aVersion = (version: string, change: (text: string) => string = (text) => text): string =>
  change(
    shippedCouncil
      .replace('version: 1.0.0', `version: ${version}`)
      .replace(/review-date: .*/, `review-date: ${nextYear}`)
      .replace('12000000 bytes', '9000000 bytes'),
  )

/** What should come out by it where a case that ships says otherwise: it takes that one's place. */
export const itsCases = `format: safehand-cases/1
rulebooks: [council]
assume:
  { audience: organisation, sector: voluntary, address: ordinary, mailbox: person, published: no, artefact: file,
    personal: no, internal-use-only: no, purpose: deliver-a-service, urgency: no-rush, recipient-authorised: yes,
    agreement: in-force, required-method: none-on-file, council-class: restricted }
cases:
  - id: TD-08
    title: A restricted file of 12,000,000 bytes is too large for email now
    facts: { size: 12 MB }
    expect: { outcome: ALLOW_WITH, methods: { secure_email: { outcome: BLOCK }, managed_transfer: { outcome: ALLOW_WITH } } }
`

/** The addresses of its drafts. */
export const draftsUrl = '/api/rulebooks/council/drafts'

interface DraftPage {
  content: string
  isSound: boolean
  mayApprove: boolean
  draft: { state: { text: string } }
  proof?: {
    trouble?: string
    cases: { failed: { id: string; differences: string[] }[]; passed: unknown[] }
    analysis?: { findings: { kind: string }[] }
    comparison?: { changed: string; changes: { methods: string[] }[] }
  }
}

/** A draft's page. */
export const draftPage = (as: Browser, id: string) => as.get<DraftPage>(`${draftsUrl}/${id}`)

/** Keeps a draft. @returns its id */
export const keepDraft = async (as: Browser, text: string, cases?: string): Promise<string> =>
  (await as.post<{ id: string }>(draftsUrl, { text, ...(cases ? { cases } : {}) })).id

/** Offers a draft as one officer and approves it as another. @returns its id */
export async function publish(author: Browser, approver: Browser, text: string, cases = itsCases): Promise<string> {
  const id = await keepDraft(author, text, cases)
  const { content } = await draftPage(author, id)
  await author.post(`${draftsUrl}/${id}/offer`, { content })
  await approver.post(`${draftsUrl}/${id}/approve`, { content })
  return id
}
