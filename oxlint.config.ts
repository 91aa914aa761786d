import { defineConfig } from 'oxlint'

/** The line of features: each may import those before it, and no other. */
export const featureLine = [
  'people',
  'organisations',
  'agreements',
  'approvals',
  'transfers',
  'rulebooks',
  'asking',
  'parcels',
  'procedures',
  'copies',
  'incidents',
  'register',
]

type ImportRule = { 'no-restricted-imports': ['error', { patterns: { group: string[]; message: string }[] }] }

const forbid = (message: string, ...group: string[]): ImportRule => ({
  'no-restricted-imports': ['error', { patterns: [{ group, message }] }],
})
const only = (message: string, ...allowed: string[]) =>
  forbid(message, '*', '*/**', ...allowed.map((path) => `!${path}`))

const features = featureLine.flatMap((name, place) => {
  const allowed = featureLine.slice(0, place + 1)
  const reach = ['#shell/**', '../**', '#features/**', ...allowed.map((feature) => `!#features/${feature}/**`)]
  const message = `${name} may import ${allowed.slice(0, -1).join(', ') || 'no other feature'}; HTTP in routes.ts, SQL in queries.ts.`
  const http = ['fastify', '@fastify/*']
  const sql = ['kysely', 'pg']
  const at = (files: string, ...more: string[]) => ({
    files: [`src/features/${name}/${files}`],
    rules: forbid(message, ...reach, ...more),
  })
  return [at('**', ...http, ...sql), at('routes.ts', ...sql), at('queries.ts', ...http)]
})

const outside = ['Date', 'fetch', 'process', 'Buffer', 'setTimeout', 'setInterval', 'performance']

export default defineConfig({
  plugins: ['typescript', 'import'],
  options: { typeAware: true },
  categories: { correctness: 'error' },
  ignorePatterns: ['dist/**', 'test/planted/**'],
  rules: {
    'import/no-cycle': 'error',
    'typescript/no-floating-promises': [
      'error',
      { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['test', 'suite'] }] },
    ],
    'typescript/no-misused-promises': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
  },
  // The last matching override wins and replaces the rule, so each is complete.
  overrides: [
    {
      files: ['src/core/**'],
      rules: {
        ...only('core/ is pure.', '#core/**', '@noble/**', '@scure/**'),
        'no-restricted-globals': [
          'error',
          ...outside.map((name) => ({ name, message: 'core/ is handed what it needs.' })),
        ],
        'no-restricted-properties': [
          'error',
          { object: 'Math', property: 'random', message: 'core/ is handed its randomness.' },
        ],
      },
    },
    { files: ['src/core/kit/**'], rules: only('kit: itself, noble, scure.', '#core/kit/**', '@noble/**', '@scure/**') },
    {
      files: ['src/core/policy/**'],
      rules: only('policy: itself, core/kit, yaml.', '#core/kit/**', '#core/policy/**', 'yaml'),
    },
    {
      files: ['src/core/register/**'],
      rules: only(
        'register: itself, core/kit, noble, scure.',
        '#core/kit/**',
        '#core/register/**',
        '@noble/**',
        '@scure/**',
      ),
    },
    {
      files: ['src/core/seal/**'],
      rules: only(
        'seal: itself, core/kit, noble, scure, age, libsodium.',
        '#core/kit/**',
        '#core/seal/**',
        '@noble/**',
        '@scure/**',
        'age-encryption',
        'libsodium-wrappers',
      ),
    },
    {
      files: ['src/edge/**'],
      rules: forbid('edge/ knows neither features/ nor shell/.', '#features/**', '#shell/**', '../**'),
    },
    ...features,
    {
      files: ['src/shell/islands/**'],
      rules: {
        ...only(
          'islands run in the browser.',
          '#core/**',
          '#shell/islands/**',
          'govuk-frontend',
          'client-zip',
          '@simplewebauthn/browser',
        ),
        // `import { type X }` keeps the import: a page would fetch and run the worker whose types it names.
        'typescript/no-import-type-side-effects': 'error',
      },
    },
    {
      files: ['src/**/*.test.ts', 'src/**/*.contract.ts'],
      rules: { 'no-restricted-imports': 'off', 'no-restricted-globals': 'off', 'no-restricted-properties': 'off' },
    },
  ],
})
