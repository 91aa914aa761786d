import type { TSchema } from 'typebox'
import { problems } from '#core/kit/problems'
import { apiPath, rawPaths, type Route, type Who } from '#edge/web/route'

const whoWords = (who: Who) => (typeof who === 'string' ? who : `roles: ${who.join(', ')}`)

const stepUpWords = (route: Route) => {
  if (route.kind === 'screen' || !route.stepUp) return ''
  const when = route.stepUp === true ? '' : ` when ${route.stepUp.given} is given`
  return ` Its person confirms it in the browser${when}; a token cannot.`
}

/**
 * The OpenAPI 3.1 description, made from the routes themselves so that it cannot differ from them.
 */
export function openapi(routes: readonly Route[], publicUrl: string, version: string) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    if (route.kind !== 'raw' && route.pageOnly) continue
    const path = (route.kind === 'raw' ? rawPaths(route.path).at(-1)! : apiPath(route.path)).replace(/:(\w+)/g, '{$1}')
    if (!path.startsWith('/api')) continue
    const method = route.kind === 'screen' ? 'get' : route.kind === 'action' ? 'post' : route.method.toLowerCase()
    const body: TSchema | undefined =
      route.kind === 'action' ? route.fields : route.kind === 'raw' ? route.body : undefined
    const bytes = route.kind === 'raw' && route.streamBytes !== undefined
    const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }))
    paths[path] = {
      ...paths[path],
      [method]: {
        summary: route.summary,
        description: `Who may call it: ${whoWords(route.who)}.${stepUpWords(route)}`,
        ...(parameters.length > 0 ? { parameters } : {}),
        ...(bytes ? { requestBody: { required: true, content: { 'application/octet-stream': {} } } } : {}),
        ...(body ? { requestBody: { required: true, content: { 'application/json': { schema: body } } } } : {}),
        responses: {
          '2XX': { description: 'Done' },
          default: {
            description: 'A problem',
            content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
          },
        },
      },
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Safehand',
      version,
      description: 'Everything the pages do. Send a token with `Authorization: Bearer`.',
    },
    servers: [{ url: publicUrl }],
    paths,
    components: {
      schemas: {
        Problem: {
          type: 'object',
          required: ['type', 'title', 'status', 'detail', 'next'],
          properties: {
            type: { type: 'string', format: 'uri' },
            title: { type: 'string' },
            status: { type: 'integer' },
            detail: { type: 'string' },
            next: { type: 'string' },
            clause: { type: 'string' },
            fields: { type: 'object', additionalProperties: { type: 'string' } },
            instance: { type: 'string' },
          },
          examples: Object.keys(problems).slice(0, 1),
        },
      },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
    security: [{ token: [] }],
  }
}
