import type { ProblemSlug } from '#core/kit/problems'
import type { Language } from '#edge/web/route'

/** A problem in words, as `problems.ts` has it in English. */
interface Row {
  title: string
  next: string
}

const english = {
  title: 'Your parcel',
  noScript: 'Opening a parcel needs JavaScript, because your own browser opens it.',

  startTitle: 'A parcel for you',
  startFrom: 'has sent you a sealed parcel. You do not need an account.',
  startFromUnknown: 'You have been sent a sealed parcel. You do not need an account.',
  startCode: 'First we send a code to the email address it was sent to, to make sure that it is you.',
  sendCode: 'Send me a code',
  linkIncomplete: 'The link is not complete. Open this page again from the link in the email, all of it.',
  genuineTitle: 'How do I know that this is genuine?',
  genuine:
    'Telephone the organisation that sent it, on a number you already know or find on its own website. Do not use a number from the email. Give the reference in the email’s subject.',
  genuineNever: 'Nobody will ever ask you for a password, a payment or your code.',

  codeTitle: 'Enter the code we sent you',
  codeHint: 'Eight letters and numbers. It works here, once, for 15 minutes.',
  code: 'Code',
  goOn: 'Continue',
  codeNew: 'Send me a new code',
  codeMissing: 'No email? Look in the junk folder, or ask for a new code.',

  readTitle: 'Before you open it',
  sender: 'From',
  reference: 'Reference',
  purpose: 'Why you are sent this',
  limits: 'Limits on its use',
  handling: 'How to handle it',
  until: 'Collect it by',
  notSaid: 'Nothing was said',
  confirmLegend: 'I have read',
  confirmPurpose: 'why I am sent this',
  confirmLimits: 'the limits on its use',
  confirmHandling: 'how to handle it',
  readOn: 'Open the parcel',
  notMeTitle: 'This is not for me',
  notMe: 'Then nobody will be able to open it with your link, and the sender is told at once. This cannot be undone.',
  notMeStop: 'Stop this parcel',

  openTitle: 'Open your parcel',
  phrase: 'The seven words',
  phraseHint:
    'The sender tells you these another way, for example by telephone. Capital letters and commas do not matter.',
  phraseMissing: 'No words yet? Keep this page open: the sender has been told that you are ready.',
  key: 'Your age key',
  keyHint:
    'It begins with AGE-SECRET-KEY. It stays in this browser. You can also use safehand collect on the command line.',
  keyFile: 'Or choose your key file',
  automatic: 'No words are needed. The organisation that sent it could open this parcel too.',
  openButton: 'Open',

  insideTitle: 'Inside your parcel',
  marking: 'Marking',
  message: 'Message',
  keepUntil: 'Keep it no longer than',
  sealedBy: 'Sealed by',
  sealedByDevice: 'Signed by the sender’s own device',
  sealedByService: 'Vouched for by the service only',
  files: 'Files',
  saveAll: 'Save all (zip)',
  saveOnly: 'Save',
  receiptTitle: 'Receipt',
  receiptMaking: 'Your receipt is being made. It takes a few seconds.',
  receipt: 'Download the receipt',
  receiptProves:
    'It proves, years from now and without us, that this parcel was opened here, when, and on the terms you read. It does not say what is inside.',
  receiptCheck: 'Check a receipt',

  script: {
    problemTitle: 'There is a problem',
    opening: 'Opening',
    checking: 'Fetching and checking',
    saving: 'Saving',
    ready: 'Checked. You can save it now.',
    waiting: 'Waiting for the connection… It goes on by itself.',
    saved: 'Saved. Every byte was checked.',
    stopped: 'Saving was stopped. Nothing complete was saved.',
    missingPhrase: 'Enter the seven words',
    missingKey: 'Enter your age key',
    keepOpen: 'Keep this page open until it is saved.',
    of: 'of',
    emptyFolder: 'empty folder',
    save: 'Save',
    problems: {} as Partial<Record<ProblemSlug, Row>>,
  },

  /** Sentences about fields, by their English. */
  sentences: {} as Record<string, string>,
}

/** The Welsh is a draft until a translator has read it: every string here awaits one. */
const welsh: typeof english = {
  title: 'Eich parsel',
  noScript: 'Mae angen JavaScript i agor parsel, gan mai eich porwr chi sy’n ei agor.',

  startTitle: 'Parsel i chi',
  startFrom: 'wedi anfon parsel dan sêl atoch. Nid oes angen cyfrif arnoch.',
  startFromUnknown: 'Anfonwyd parsel dan sêl atoch. Nid oes angen cyfrif arnoch.',
  startCode:
    'Yn gyntaf rydym yn anfon cod i’r cyfeiriad e-bost yr anfonwyd y parsel iddo, i wneud yn siŵr mai chi ydyw.',
  sendCode: 'Anfonwch god ataf',
  linkIncomplete: 'Nid yw’r ddolen yn gyflawn. Agorwch y dudalen hon eto o’r ddolen yn yr e-bost, y cyfan ohoni.',
  genuineTitle: 'Sut ydw i’n gwybod bod hwn yn ddilys?',
  genuine:
    'Ffoniwch y sefydliad a’i hanfonodd, ar rif rydych chi’n ei adnabod eisoes neu sydd ar ei wefan ei hun. Peidiwch â defnyddio rhif o’r e-bost. Rhowch y cyfeirnod sydd ym mhwnc yr e-bost.',
  genuineNever: 'Ni fydd neb byth yn gofyn i chi am gyfrinair, taliad na’ch cod.',

  codeTitle: 'Rhowch y cod a anfonwyd atoch',
  codeHint: 'Wyth o lythrennau a rhifau. Mae’n gweithio yma, unwaith, am 15 munud.',
  code: 'Cod',
  goOn: 'Parhau',
  codeNew: 'Anfonwch god newydd ataf',
  codeMissing: 'Dim e-bost? Edrychwch yn y ffolder sothach, neu gofynnwch am god newydd.',

  readTitle: 'Cyn i chi ei agor',
  sender: 'Oddi wrth',
  reference: 'Cyfeirnod',
  purpose: 'Pam rydych yn cael hwn',
  limits: 'Cyfyngiadau ar ei ddefnyddio',
  handling: 'Sut i’w drin',
  until: 'Casglwch ef erbyn',
  notSaid: 'Ni ddywedwyd dim',
  confirmLegend: 'Rwyf wedi darllen',
  confirmPurpose: 'pam rwy’n cael hwn',
  confirmLimits: 'y cyfyngiadau ar ei ddefnyddio',
  confirmHandling: 'sut i’w drin',
  readOn: 'Agor y parsel',
  notMeTitle: 'Nid i mi y mae hwn',
  notMe:
    'Wedyn ni fydd neb yn gallu ei agor â’ch dolen chi, a dywedir wrth yr anfonwr ar unwaith. Ni ellir dadwneud hyn.',
  notMeStop: 'Atal y parsel hwn',

  openTitle: 'Agor eich parsel',
  phrase: 'Y saith gair',
  phraseHint:
    'Mae’r anfonwr yn eu dweud wrthych mewn ffordd arall, er enghraifft dros y ffôn. Nid yw priflythrennau a choma yn bwysig.',
  phraseMissing: 'Dim geiriau eto? Cadwch y dudalen hon ar agor: mae’r anfonwr wedi cael gwybod eich bod yn barod.',
  key: 'Eich allwedd age',
  keyHint:
    'Mae’n dechrau ag AGE-SECRET-KEY. Mae’n aros yn y porwr hwn. Gallwch hefyd ddefnyddio safehand collect ar y llinell orchymyn.',
  keyFile: 'Neu dewiswch ffeil eich allwedd',
  automatic: 'Nid oes angen geiriau. Gallai’r sefydliad a’i hanfonodd agor y parsel hwn hefyd.',
  openButton: 'Agor',

  insideTitle: 'Y tu mewn i’ch parsel',
  marking: 'Marc diogelwch',
  message: 'Neges',
  keepUntil: 'Peidiwch â’i gadw’n hwy na',
  sealedBy: 'Seliwyd gan',
  sealedByDevice: 'Llofnodwyd gan ddyfais yr anfonwr ei hun',
  sealedByService: 'Y gwasanaeth yn unig sy’n tystio iddo',
  files: 'Ffeiliau',
  saveAll: 'Cadw’r cyfan (zip)',
  saveOnly: 'Cadw',
  receiptTitle: 'Derbynneb',
  receiptMaking: 'Mae eich derbynneb yn cael ei gwneud. Mae’n cymryd ychydig eiliadau.',
  receipt: 'Lawrlwytho’r dderbynneb',
  receiptProves:
    'Mae’n profi, ymhen blynyddoedd a hebom ni, fod y parsel hwn wedi’i agor yma, pryd, ac ar y telerau a ddarllenoch. Nid yw’n dweud beth sydd y tu mewn.',
  receiptCheck: 'Gwirio derbynneb',

  script: {
    problemTitle: 'Mae yna broblem',
    opening: 'Yn agor',
    checking: 'Yn nôl ac yn gwirio',
    saving: 'Yn cadw',
    ready: 'Wedi’i wirio. Gallwch ei gadw nawr.',
    waiting: 'Yn aros am y cysylltiad… Bydd yn parhau ohono’i hun.',
    saved: 'Wedi’i gadw. Gwiriwyd pob beit.',
    stopped: 'Stopiwyd y cadw. Ni chadwyd dim cyflawn.',
    missingPhrase: 'Rhowch y saith gair',
    missingKey: 'Rhowch eich allwedd age',
    keepOpen: 'Cadwch y dudalen hon ar agor nes iddo gael ei gadw.',
    of: 'o',
    emptyFolder: 'ffolder wag',
    save: 'Cadw',
    problems: {
      'code-expired': {
        title: 'Ni ellir defnyddio’r cod hwn mwyach',
        next: 'Gofynnwch am god newydd, yn yr un porwr ag y byddwch yn ei roi ynddo.',
      },
      'code-wrong': {
        title: 'Nid dyna’r cod a anfonwyd',
        next: 'Edrychwch ar yr e-bost diweddaraf a rhowch ei god eto.',
      },
      'form-expired': {
        title: 'Mae’r dudalen hon wedi dyddio',
        next: 'Agorwch y dudalen eto ac anfonwch oddi yno.',
      },
      'too-many-requests': {
        title: 'Bu gormod o gynigion',
        next: 'Arhoswch ychydig funudau, yna rhowch gynnig arall arni.',
      },
      'too-many-codes': {
        title: 'Gofynnwyd am ormod o godau',
        next: 'Defnyddiwch y cod diweddaraf, neu arhoswch awr cyn gofyn eto.',
      },
      'mailbox-not-proved': {
        title: 'Mae angen gwirio eich cyfeiriad e-bost yn gyntaf',
        next: 'Agorwch y ddolen yn yr e-bost eto a gofynnwch am god.',
      },
      'link-wrong': {
        title: 'Nid yw’r ddolen hon yn gweithio',
        next: 'Agorwch yr e-bost diweddaraf am y parsel hwn a defnyddiwch y ddolen ynddo.',
      },
      'link-locked': {
        title: 'Mae’r ddolen hon wedi’i chloi ar ôl gormod o gynigion anghywir',
        next: 'Gofynnwch i’r anfonwr anfon un newydd atoch.',
      },
      'parcel-withdrawn': {
        title: 'Mae’r anfonwr wedi tynnu’r parsel hwn yn ôl',
        next: 'Gofynnwch i’r anfonwr, ar rif rydych chi’n ei adnabod eisoes.',
      },
      'parcel-recalled': {
        title: 'Mae’r anfonwr wedi galw’r parsel hwn yn ôl',
        next: 'Os ydych wedi cadw unrhyw beth ohono, dilëwch ef a rhowch wybod i’r anfonwr.',
      },
      'parcel-expired': { title: 'Ni ellir casglu’r parsel hwn mwyach', next: 'Gofynnwch i’r anfonwr ei anfon eto.' },
      'parcel-not-for-you': {
        title: 'Dywedoch nad i chi yr oedd hwn',
        next: 'Mae’r parsel wedi’i atal a’r anfonwr wedi cael gwybod. Nid oes angen i chi wneud dim arall.',
      },
      'acknowledge-first': {
        title: 'Darllenwch y diben, y cyfyngiadau a sut i’w drin yn gyntaf',
        next: 'Agorwch dudalen y parsel a chadarnhewch y tri.',
      },
      'phrase-length': {
        title: 'Mae saith gair yn yr ymadrodd',
        next: 'Rhowch bob un o’r saith gair, yn y drefn y cawsoch nhw.',
      },
      'phrase-word': {
        title: 'Nid yw un o’r geiriau yn y rhestr eiriau',
        next: 'Gwiriwch ei sillafiad, neu gofynnwch am y gair hwnnw eto.',
      },
      'phrase-wrong': {
        title: 'Nid yw’r geiriau hyn yn agor y parsel',
        next: 'Gwiriwch y geiriau a’u trefn. Mae gan bob parsel a phob derbynnydd eu geiriau eu hunain.',
      },
      'sealed-for-another': {
        title: 'Nid yw’r allwedd hon yn ei agor',
        next: 'Gwiriwch mai dyma’r allwedd y cafodd ei selio ar ei chyfer.',
      },
      'content-altered': {
        title: 'Mae’r cynnwys wedi’i newid',
        next: 'Peidiwch â dibynnu arno. Gofynnwch i’r anfonwr ei anfon eto.',
      },
      'content-truncated': {
        title: 'Mae diwedd y cynnwys ar goll',
        next: 'Nôlwch ef eto. Nid yw’r hyn a ddaeth hyd yn hyn yn gyflawn.',
      },
      'lock-other-manifest': {
        title: 'Nid dyma’r rhestr gynnwys a seliwyd',
        next: 'Peidiwch â mynd ymlaen. Rhowch wybod i’r anfonwr.',
      },
      'sender-signature-wrong': {
        title: 'Nid yw llofnod yr anfonwr yn ffitio’r parsel hwn',
        next: 'Peidiwch â mynd ymlaen. Rhowch wybod i’r anfonwr.',
      },
      'terms-differ': {
        title: 'Nid yr hyn a welsoch yw’r hyn a seliodd yr anfonwr',
        next: 'Peidiwch â mynd ymlaen. Rhowch wybod i’r anfonwr.',
      },
      'device-full': {
        title: 'Nid oes digon o le ar y ddyfais hon',
        next: 'Ni chadwyd dim cyflawn. Gwnewch le arni, neu agorwch y parsel ar ddyfais arall, a’i gadw eto.',
      },
      'download-ended': {
        title: 'Mae’r porwr wedi rhoi’r gorau i gadw',
        next: 'Dilëwch yr hyn a gadwodd: nid yw’n gyflawn. Yna cadwch eto, a chadwch y dudalen hon ar agor ac o’ch blaen.',
      },
      'storage-full': {
        title: 'Does gan Safehand ddim lle ar ôl',
        next: 'Ni chadwyd yr hyn a wnaethoch ddiwethaf; cadwyd popeth cyn hynny. Dywedwch wrth y bobl sy’n rhedeg Safehand, yna rhowch gynnig arall arni.',
      },
      unavailable: {
        title: 'Ni all Safehand wneud hyn ar hyn o bryd',
        next: 'Rhowch gynnig arall arni ymhen ychydig funudau. Ni chollwyd dim.',
      },
    },
  },

  sentences: {
    'Enter the code': 'Rhowch y cod',
    'Open this page from the link in the email': 'Agorwch y dudalen hon o’r ddolen yn yr e-bost',
    'Confirm that you have read the purpose': 'Cadarnhewch eich bod wedi darllen pam rydych yn cael hwn',
    'Confirm that you have read the limits': 'Cadarnhewch eich bod wedi darllen y cyfyngiadau',
    'Confirm that you have read how to handle it': 'Cadarnhewch eich bod wedi darllen sut i’w drin',
  },
}

/** Every word of the recipient's page that the sender did not write. */
export const collectWords: Record<Language, typeof english> = { en: english, cy: welsh }
