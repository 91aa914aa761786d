/** Signing in with a passkey, by Chromium's virtual authenticator. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { aChromium, aDemonstration, complaintsOf, mailedCode, mailsTo, signIn } from './support.ts'

const { url } = await aDemonstration({ after })
const chromium = await aChromium({ after })

test('a passkey is added on the account’s page, confirms an act, and signs in', async () => {
  const context = await chromium.newContext()
  const page = await context.newPage()
  const complaints = complaintsOf(page)
  const session = await context.newCDPSession(page)
  await session.send('WebAuthn.enable')
  const options = {
    protocol: 'ctap2',
    transport: 'internal',
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
  } as const
  await session.send('WebAuthn.addVirtualAuthenticator', { options })
  await signIn(page, url, 'Priya Nair')
  await page.goto(`${url}/account`)
  await page.getByLabel('Name of the passkey').fill('Test device')
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await page.getByRole('heading', { name: 'Confirm that it is you' }).waitFor()
  await page.getByLabel('Code').fill(await mailedCode(context, url, 'priya.nair@exampleshire.example'))
  await page.getByRole('button', { name: 'Confirm and continue' }).click()
  await page.getByText('Test device, added').waitFor()
  const [notice] = await mailsTo(context, url, 'priya.nair@exampleshire.example')
  assert.match(notice!.text, /A passkey was added to your account, called:\s+Test device/)

  await page.getByLabel('Name of the token').fill('Laptop')
  await page.getByRole('button', { name: 'Make a token' }).click()
  await page.getByRole('button', { name: 'Confirm with a passkey' }).click()
  await page.getByRole('heading', { name: 'Your new token' }).waitFor()
  await page.goto(`${url}/account`)
  await page.getByText('Laptop, until').waitFor()

  await page.getByRole('button', { name: 'Let this browser open what I send' }).click()
  await page.getByRole('button', { name: 'Confirm with a passkey' }).click()
  await page.getByText('It can open what you send from elsewhere').waitFor()

  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.waitForURL(`${url}/sign-in`)
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
  await page.waitForURL(`${url}/`)
  await page.getByRole('link', { name: 'Priya Nair' }).waitFor()
  assert.deepEqual(complaints, [])
})

test('when the server cannot help with a passkey, the page says so', async () => {
  const context = await chromium.newContext()
  const page = await context.newPage()
  await page.route('**/api/passkeys/sign-in/options', async (route) => {
    await route.fulfill({ status: 500, contentType: 'application/json', body: '{}' })
  })
  await page.goto(`${url}/sign-in`)
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
  await page.getByText('Safehand cannot do this just now').waitFor()
})
