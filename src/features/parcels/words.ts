import type { Language } from '#edge/web/route'

const english = { title: 'Your parcel' }
const welsh: typeof english = { title: 'Eich parsel' }

/** What a recipient's pages say, in both languages. */
export const collectWords: Record<Language, typeof english> = { en: english, cy: welsh }
