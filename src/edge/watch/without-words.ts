/**
 * An error's kind, code and place in our code, for logs. Its message stays out: what others wrote may stand in it, and
 * databases and mail relays repeat what they were given.
 */
export function withoutWords(error: unknown): string {
  if (!(error instanceof Error)) return 'something that is no error was thrown'
  const code = 'code' in error && /^\w+$/.test(String(error.code)) ? ` ${String(error.code)}` : ''
  const places = (error.stack ?? '').replace(error.message, '').match(/^ {4}at .*$/gm) ?? []
  return [`${error.name}${code}`, ...places].join('\n')
}
