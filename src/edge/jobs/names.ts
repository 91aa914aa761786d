/**
 * Every kind of job. A job may run more than once (a process can be killed after the work and before it is noted), so
 * its work must be such that doing it again changes nothing.
 */
export const jobNames = ['deliver-mail', 'tidy', 'destroy-parcel'] as const

export type JobName = (typeof jobNames)[number]
