import type { Letter } from '#edge/mail/compose'

/** The mail with a code for signing in. The link carries the code behind the '#', which is never sent to a server. */
export const signInLetter = (code: string, publicUrl: string, minutes: number): Letter => ({
  subject: { en: 'Your Safehand sign-in code' },
  body: {
    en: [
      'Use this link or this code to sign in, in the browser where you asked for it.',
      { link: { text: 'Sign in', url: `${publicUrl}/sign-in/code#${code}` } },
      { code },
      `It works once, for ${minutes} minutes. If you did not ask for it, you need do nothing.`,
    ],
  },
})

/** The mail with a code that confirms one act, which it names. No link: a confirmation is typed where it was asked for. */
export const confirmLetter = (code: string, act: string, minutes: number): Letter => ({
  subject: { en: 'Your Safehand confirmation code' },
  body: {
    en: [
      'Somebody signed in as you wants to do this in Safehand:',
      act,
      'If it is you, enter this code on the page that asks for it.',
      { code },
      `It works once, for ${minutes} minutes, for exactly this. If it is not you, tell nobody the code, sign in and sign out everywhere on your account’s page.`,
    ],
  },
})

/** The notice that something was added with which one acts as this person. */
export const addedLetter = (what: string, label: string): Letter => ({
  subject: { en: 'Something was added to your Safehand account' },
  body: {
    en: [
      `${what} was added to your account, called:`,
      label,
      'If that was you, you need do nothing. If not, end it on your account’s page, sign out everywhere there, and tell whoever runs Safehand.',
    ],
  },
})
