import type { Letter } from '#edge/mail/compose'

// No mail names what is in a parcel or whom it is about: subject and words carry the reference alone.

const dayIn = (locale: string) => new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'Europe/London' })
const english = dayIn('en-GB')
const welsh = dayIn('cy-GB')

/** The mail that brings a recipient the link. */
export const invitation = (of: {
  organisation: string
  reference: string
  url: string
  until: Date
  needsPhrase: boolean
}): Letter => ({
  subject: {
    en: `${of.organisation} has sent you something securely (${of.reference})`,
    cy: `Mae ${of.organisation} wedi anfon rhywbeth atoch yn ddiogel (${of.reference})`,
  },
  body: {
    en: [
      `${of.organisation} has sent you a sealed parcel. You do not need an account.`,
      { link: { text: 'Open your parcel', url: of.url } },
      ...(of.needsPhrase
        ? [
            'You will also need seven words. The sender will tell you them another way, for example by telephone. They are never in an email.',
          ]
        : []),
      `You can collect it until ${english.format(of.until)}.`,
      `Not sure that this is genuine? Telephone ${of.organisation} on a number you already know, and give the reference ${of.reference}.`,
    ],
    cy: [
      `Mae ${of.organisation} wedi anfon parsel dan sêl atoch. Nid oes angen cyfrif arnoch.`,
      { link: { text: 'Agor eich parsel', url: of.url } },
      ...(of.needsPhrase
        ? [
            'Bydd angen saith gair arnoch hefyd. Bydd yr anfonwr yn eu dweud wrthych mewn ffordd arall, er enghraifft dros y ffôn. Nid ydynt byth mewn e-bost.',
          ]
        : []),
      `Gallwch ei gasglu tan ${welsh.format(of.until)}.`,
      `Ddim yn siŵr a yw hwn yn ddilys? Ffoniwch ${of.organisation} ar rif rydych chi’n ei adnabod eisoes, a rhowch y cyfeirnod ${of.reference}.`,
    ],
  },
})

/** The mail that proves the recipient's mailbox. */
export const codeLetter = (code: string, reference: string): Letter => ({
  subject: { en: `Your code for parcel ${reference}`, cy: `Eich cod ar gyfer parsel ${reference}` },
  body: {
    en: [
      'Enter this code on the page where you asked for it.',
      { code },
      'It works once, in that browser, for 15 minutes. Nobody will ever ask you to read it out.',
    ],
    cy: [
      'Rhowch y cod hwn ar y dudalen lle gofynnoch amdano.',
      { code },
      'Mae’n gweithio unwaith, yn y porwr hwnnw, am 15 munud. Ni fydd neb byth yn gofyn i chi ei ddarllen yn uchel.',
    ],
  },
})

const toSender =
  (subject: string, ...words: string[]) =>
  (url: string): Letter => ({
    subject: { en: subject },
    body: { en: [...words, { link: { text: 'See the transfer', url } }] },
  })

export const ringNowLetter = (reference: string) =>
  toSender(
    `Ring now: ${reference} is waiting for its seven words`,
    'The recipient has proved their mailbox and is waiting. Tell them the seven words now, by telephone, in person, by text from a work phone or by letter.',
  )

export const openedLetter = (reference: string) =>
  toSender(
    `Opened: ${reference}`,
    'The recipient has opened the parcel and signed for it. The receipt is on the transfer’s page.',
  )

export const notForMeLetter = (reference: string) =>
  toSender(
    `Not for them: ${reference}`,
    'The recipient says that this parcel is not for them. They can no longer open it.',
    'Check the address. If anything went to the wrong person, report a problem from the transfer’s page.',
  )

export const notCollectedLetter = (reference: string) =>
  toSender(
    `Not collected: ${reference}`,
    'The parcel was not opened in time and has been destroyed. Send it again if it is still needed.',
  )

export const remindSenderLetter = (reference: string, until: Date) =>
  toSender(
    `Not yet opened: ${reference}`,
    `The parcel is still waiting. It will be destroyed after ${english.format(until)}.`,
    'If the recipient has not had their seven words, tell them, or make new ones.',
  )

/** A chaser for someone who has not opened their parcel. */
export const remindRecipientLetter = (reference: string, organisation: string, until: Date): Letter => ({
  subject: { en: `A parcel is waiting for you (${reference})`, cy: `Mae parsel yn aros amdanoch (${reference})` },
  body: {
    en: [
      `${organisation} sent you a sealed parcel that you have not opened. Use the link in the first email.`,
      `You can collect it until ${english.format(until)}.`,
      'If you cannot find the email or do not have the seven words, ask the sender.',
    ],
    cy: [
      `Anfonodd ${organisation} barsel dan sêl atoch nad ydych wedi’i agor. Defnyddiwch y ddolen yn yr e-bost cyntaf.`,
      `Gallwch ei gasglu tan ${welsh.format(until)}.`,
      'Os na allwch ddod o hyd i’r e-bost neu os nad oes gennych y saith gair, gofynnwch i’r anfonwr.',
    ],
  },
})

export const recalledLetter = (reference: string, organisation: string): Letter => ({
  subject: { en: `Recalled: parcel ${reference}`, cy: `Wedi’i alw’n ôl: parsel ${reference}` },
  body: {
    en: [
      `${organisation} has recalled this parcel. It can no longer be opened.`,
      'If you have already saved anything from it, please delete it and tell the sender.',
    ],
    cy: [
      `Mae ${organisation} wedi galw’r parsel hwn yn ôl. Ni ellir ei agor mwyach.`,
      'Os ydych eisoes wedi cadw unrhyw beth ohono, dilëwch ef a rhowch wybod i’r anfonwr.',
    ],
  },
})
