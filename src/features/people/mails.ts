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
