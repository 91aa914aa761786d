import type { Day } from '#edge/store/work-tables'

const zone = 'Europe/London'
// Swedish writes a date as yyyy-mm-dd.
const days = new Intl.DateTimeFormat('sv-SE', { timeZone: zone })
const weekdays = new Intl.DateTimeFormat('en-GB', { timeZone: zone, weekday: 'short' })

/** The calendar day it is in the United Kingdom. */
export const dayOf = (at: Date): Day => days.format(at)

/** The instant at which a day is kept in the database, so that it reads as the same day here in winter and summer. */
export const instantOf = (day: Day): Date => new Date(`${day}T12:00:00Z`)

const dayMs = 86_400_000

/**
 * The instant that many working days later: Saturdays and Sundays, as England and Wales have them, do not count.
 *
 * Bank holidays are not known here and count as working days: what is due then is due early, never late.
 */
export function workingDaysAfter(from: Date, count: number): Date {
  let at = from
  for (let counted = 0; counted < count;) {
    at = new Date(at.valueOf() + dayMs)
    if (!['Sat', 'Sun'].includes(weekdays.format(at))) counted++
  }
  return at
}
