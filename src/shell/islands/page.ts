/** Every page: GOV.UK Frontend's own behaviour, which each page also works without. */
import { Button, Checkboxes, ErrorSummary, NotificationBanner, Radios, SkipLink, createAll } from 'govuk-frontend'

for (const component of [Button, Checkboxes, ErrorSummary, NotificationBanner, Radios, SkipLink]) createAll(component)

// A mailed link carries its code behind the '#', which browsers never send: it fills the field; a press still sends it.
const code = document.querySelector<HTMLInputElement>('input[data-code-from-link]')
if (code && /^#(?:[0-9A-Za-z-]{8,9}|[\w-]{52})$/.test(location.hash)) code.value = location.hash.slice(1)
