import { assert } from '#core/kit/outcome'

export type Language = 'en' | 'cy'

/** A link a recipient can press, under words that say where it leads. */
export interface MailLink {
  text: string
  url: string
}

/** A piece of a mail: a paragraph, a link, a code to type, or a list. Texts are plain; all of them are escaped. */
export type Part = string | { link: MailLink } | { code: string } | { list: string[] }

/** What a mail says, in English and, where it goes to a recipient outside, in Welsh. */
export interface Letter {
  /** Marking and reference only: subjects are shown on locked screens. */
  subject: { en: string; cy?: string }
  body: { en: Part[]; cy?: Part[] }
}

/** The newest checkpoint of the register, printed under a mail so that its readers hold what the register said. */
export interface RegisterLine {
  size: number
  root: string
  keyFingerprint: string
}

export interface Composed {
  subject: string
  text: string
  html: string
  /** The links in the order of reading, once each. */
  links: MailLink[]
}

const words = {
  en: {
    below: 'This message is in English below.',
    register: (line: RegisterLine) =>
      `Safehand register: ${line.size} entries, root ${line.root}, key ${line.keyFingerprint}.`,
  },
  cy: {
    below: "Mae'r neges hon yn Gymraeg isod.",
    register: (line: RegisterLine) =>
      `Cofrestr Safehand: ${line.size} cofnod, gwraidd ${line.root}, allwedd ${line.keyFingerprint}.`,
  },
}

/**
 * A letter as a mail: plain text and HTML that say the same, in the reader's language first and in the other after it
 * when the letter has both.
 *
 * @param language - the reader's; English when the letter has no Welsh
 */
export function compose(
  letter: Letter,
  { language, registerLine }: { language: Language; registerLine?: RegisterLine },
): Composed {
  const order: Language[] = letter.body.cy ? [language, language === 'en' ? 'cy' : 'en'] : ['en']
  const sections = order.map((each) => ({
    language: each,
    title: subjectIn(letter, each),
    parts: partsIn(letter, each),
  }))
  const [first, second] = sections
  const parts = sections.flatMap((section) => section.parts)
  const links = parts.flatMap((part) => (typeof part !== 'string' && 'link' in part ? [part.link] : []))
  for (const { url } of links) assert(/^https?:$/.test(new URL(url).protocol), 'a link in a mail leads to a web page')

  if (second) first!.parts.unshift(words[second.language].below)
  if (registerLine) for (const section of sections) section.parts.push(words[section.language].register(registerLine))
  return {
    subject: sections
      .map(({ title }) => title)
      .filter(isFirst)
      .join(' / '),
    text: `${sections.map((section) => section.parts.map(asText).join('\n\n')).join(`\n\n${'-'.repeat(40)}\n\n`)}\n`,
    html: asPage(sections),
    links: links.filter(({ url }, i) => links.findIndex((link) => link.url === url) === i),
  }
}

const isFirst = <T>(value: T, i: number, all: T[]): boolean => all.indexOf(value) === i

/** A subject as one line: a line break in it would begin another header. */
const subjectIn = ({ subject }: Letter, language: Language): string =>
  (subject[language] ?? subject.en).replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()

const partsIn = ({ body }: Letter, language: Language): Part[] => [...(body[language] ?? body.en)]

function asText(part: Part): string {
  if (typeof part === 'string') return part
  if ('link' in part) return `${part.link.text}:\n${part.link.url}`
  if ('code' in part) return `    ${part.code}`
  return part.list.map((item) => `- ${item}`).join('\n')
}

const font = 'font-family:Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5;color:#0b0c0c'

function asPage(sections: { language: Language; title: string; parts: Part[] }[]): string {
  const { language, title } = sections[0]!
  const content = sections
    .map(
      (section) =>
        `<div lang="${section.language}">\n<h1 style="${font};font-size:22px;margin:0 0 16px">${escape(section.title)}</h1>\n${section.parts.map(asHtml).join('\n')}\n</div>`,
    )
    .join('\n<hr style="border:0;border-top:1px solid #b1b4b6;margin:24px 0">\n')
  return `<!DOCTYPE html>
<html lang="${language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title></head>
<body style="margin:0;padding:24px;background:#ffffff">
<div role="main" style="max-width:600px">
${content}
</div>
</body>
</html>
`
}

function asHtml(part: Part): string {
  const paragraph = `<p style="${font};margin:0 0 16px;overflow-wrap:anywhere">`
  if (typeof part === 'string') return `${paragraph}${escape(part).replaceAll('\n', '<br>')}</p>`
  if ('link' in part)
    return `${paragraph}<a href="${escape(part.link.url)}" style="color:#1d70b8">${escape(part.link.text)}</a></p>`
  if ('code' in part)
    return `<p style="${font};font-size:24px;font-weight:bold;letter-spacing:2px;margin:0 0 16px">${escape(part.code)}</p>`
  return `<ul style="${font};margin:0 0 16px;padding-left:20px">${part.list.map((item) => `<li>${escape(item)}</li>`).join('')}</ul>`
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character]!)
