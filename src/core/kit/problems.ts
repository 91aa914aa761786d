/**
 * Every problem Safehand can answer with: HTTP status, a title a member of the public can read, and what to do next.
 *
 * @source RFC 9457 (problem details); pages, API and command line show the same row
 */
export const problems = {
  // General
  'form-incomplete': {
    status: 422,
    title: 'There is a problem with what was entered',
    next: 'Correct the fields named below and try again.',
  },
  'not-found': { status: 404, title: 'This page cannot be found', next: 'Check the address, or go to the home page.' },
  'sign-in-needed': { status: 401, title: 'You need to sign in', next: 'Sign in, then try again.' },
  'not-allowed': {
    status: 403,
    title: 'You do not have access to this',
    next: 'Ask someone in your organisation who has this role.',
  },
  'too-large': { status: 413, title: 'What was sent is too large', next: 'Send less at once.' },
  'too-many-requests': {
    status: 429,
    title: 'There have been too many tries',
    next: 'Wait a few minutes, then try again.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'This kind of content is not accepted here',
    next: 'Send JSON, or use the form on the page.',
  },
  'malformed-request': {
    status: 400,
    title: 'The request could not be read',
    next: 'Check that it is complete and well formed.',
  },
  'wrong-origin': {
    status: 403,
    title: 'The form was sent from another site',
    next: 'Open the page again and send the form from there.',
  },
  'form-expired': {
    status: 403,
    title: 'This page is out of date',
    next: 'Open the page again and send it from there. Signing in or out in between makes a page out of date.',
  },
  'step-up-needed': {
    status: 403,
    title: 'Confirm that it is you',
    next: 'Do this in the browser, where you confirm it with a mailed code or a passkey.',
  },
  'http-method-wrong': {
    status: 405,
    title: 'This cannot be asked for in this way',
    next: 'The description at /api says which way each address is asked.',
  },
  'changed-meanwhile': {
    status: 409,
    title: 'This has changed since you opened it',
    next: 'Open the page again to see how it stands now.',
  },
  'too-many-codes': {
    status: 429,
    title: 'Too many codes have been asked for',
    next: 'Use the newest code we sent, or wait an hour and ask again.',
  },
  'code-expired': {
    status: 422,
    title: 'This code can no longer be used',
    next: 'Ask for a new code, in the same browser in which you will enter it.',
  },
  'code-wrong': {
    status: 422,
    title: 'That is not the code we sent',
    next: 'Check the newest email and enter its code again.',
  },
  'mailbox-not-proved': {
    status: 403,
    title: 'We need to check your email address first',
    next: 'Open the link in the email again and ask for a code.',
  },
  'passkey-refused': {
    status: 422,
    title: 'The passkey could not be checked',
    next: 'Try again, or sign in with a code by email.',
  },
  'device-unknown': {
    status: 422,
    title: 'This device is not known',
    next: 'Open the page again, so that the device is enrolled.',
  },
  // Transfers and parcels
  'transfer-closed': { status: 409, title: 'This transfer can no longer be changed', next: 'Start a new transfer.' },
  'recipient-missing': { status: 422, title: 'There is nobody to send it to yet', next: 'Add a recipient.' },
  'recipient-twice': {
    status: 409,
    title: 'This person is a recipient already',
    next: 'Choose somebody else, or go on.',
  },
  'gates-open': {
    status: 409,
    title: 'Something has to be done before this can be sent',
    next: 'Open the transfer and do what its list says.',
  },
  'method-not-allowed': {
    status: 403,
    title: 'This cannot be sent this way',
    next: 'Open the decision to see what is allowed and whom to ask.',
  },
  'parcel-days': { status: 422, title: 'This parcel cannot be kept that long', next: 'Choose 28 days or fewer.' },
  'digest-missing': {
    status: 400,
    title: 'The digest of what was sent is missing',
    next: 'Send a Content-Digest header of the form sha-256=:…:',
  },
  'part-number': { status: 422, title: 'There is no part with this number', next: 'Number parts from 0.' },
  'sealing-elsewhere': {
    status: 409,
    title: 'This is being sealed in another tab',
    next: 'Go to that tab of this browser. If there is none any more, seal and send again here.',
  },
  'part-differs': {
    status: 409,
    title: 'Another part has this number already',
    next: 'Seal the parcel again from the start. The same part of a parcel can never be sealed twice differently.',
  },
  'parcel-complete': {
    status: 409,
    title: 'This parcel is closed',
    next: 'Start a new transfer to send something else.',
  },
  'parcel-incomplete': {
    status: 409,
    title: 'The parcel did not arrive whole',
    next: 'Send what is missing, then complete it again.',
  },
  'signature-wrong': {
    status: 422,
    title: 'The signature does not match',
    next: 'Open the page again and seal once more.',
  },
  'parcel-withdrawn': {
    status: 410,
    title: 'The sender has withdrawn this parcel',
    next: 'Ask the sender, on a number you already know.',
  },
  'parcel-recalled': {
    status: 410,
    title: 'The sender has recalled this parcel',
    next: 'If you have saved anything from it, delete it and tell the sender.',
  },
  'parcel-expired': {
    status: 410,
    title: 'This parcel can no longer be collected',
    next: 'Ask the sender to send it again.',
  },
  'parcel-not-for-you': {
    status: 410,
    title: 'You told us that this was not for you',
    next: 'The parcel has been stopped and the sender told. You need do nothing more.',
  },
  'link-wrong': {
    status: 403,
    title: 'This link does not work',
    next: 'Open the newest email about this parcel and use the link in it.',
  },
  'link-locked': {
    status: 429,
    title: 'This link is locked after too many wrong tries',
    next: 'Ask the sender to send you a new one.',
  },
  'acknowledge-first': {
    status: 403,
    title: 'Read the purpose, limits and handling first',
    next: 'Open the parcel’s page and confirm all three.',
  },
  'statement-wrong': {
    status: 422,
    title: 'The receipt could not be checked',
    next: 'Open the parcel again from its page.',
  },
  'lock-key-destroyed': {
    status: 410,
    title: 'This parcel can no longer be opened',
    next: 'Ask the sender to send it again.',
  },
  'not-disclosed': {
    status: 422,
    title: 'Nothing may be told to anyone else',
    next: 'Try again later, or choose another way. Leave no message.',
  },
  'setting-wrong': { status: 422, title: 'A setting is not right', next: 'Change it, then start again.' },
  'range-wrong': {
    status: 416,
    title: 'This part of the parcel does not exist',
    next: 'Ask for a range inside the content.',
  },
  'device-full': {
    status: 507,
    title: 'There is not enough room on this device',
    next: 'Nothing complete was saved. Make room on it, or open the parcel on another one, and save again.',
  },
  'download-ended': {
    status: 500,
    title: 'The browser has ended the saving',
    next: 'Delete what it has saved: it is not complete. Then save again, and keep this page open and in front.',
  },
  'storage-full': {
    status: 507,
    title: 'Safehand has no room left',
    next: 'What you did last was not kept; everything before it was. Tell the people who run Safehand, then try again.',
  },
  unavailable: {
    status: 503,
    title: 'Safehand cannot do this just now',
    next: 'Try again in a few minutes. Nothing has been lost.',
  },
  unhealthy: {
    status: 503,
    title: 'A part of Safehand is not working',
    next: 'Whoever runs it finds the part in the guide for operators.',
  },

  // Approvals
  'approval-by-sender': {
    status: 403,
    title: 'You cannot approve, answer or review your own transfer',
    next: 'Ask someone else who has this role.',
  },
  'already-certified': {
    status: 409,
    title: 'The emergency has been certified already',
    next: 'Open the transfer to see how it stands now.',
  },

  // Sealing
  'parcel-empty': { status: 422, title: 'There is nothing to send yet', next: 'Choose at least one file.' },
  'parcel-too-many-files': {
    status: 422,
    title: 'There are too many files for one parcel',
    next: 'Put them into one archive, or send them in several parcels.',
  },
  'parcel-too-large': { status: 413, title: 'This is too large for one parcel', next: 'Send it in several parcels.' },
  'file-changed': {
    status: 409,
    title: 'A file changed while it was being sealed',
    next: 'Save and close it, then choose the files again.',
  },
  'seal-resume-differs': {
    status: 409,
    title: 'These are not the files that were being sent',
    next: 'Choose the same files again, or start a new sending.',
  },
  'recipient-key-malformed': {
    status: 422,
    title: 'This is not a key that a parcel can be locked to',
    next: 'Ask the recipient to send their public key again. It begins with age1.',
  },
  'keys-mixed': {
    status: 422,
    title: 'Keys of two strengths were mixed',
    next: 'Use post-quantum keys for every lock of a parcel, or for none.',
  },

  // The command line
  'server-unreachable': {
    status: 503,
    title: 'The server cannot be reached',
    next: 'Check its address and your connection, then try again.',
  },
  'terms-differ': {
    status: 422,
    title: 'The purpose or limits you were shown are not those that were sealed',
    next: 'Do not go on. Tell the sender, on a number you already know.',
  },
  'sender-signature-wrong': {
    status: 422,
    title: 'The signature of the sender’s device does not fit this parcel',
    next: 'Do not go on. Tell the sender, on a number you already know.',
  },
  'source-refused': {
    status: 422,
    title: 'Something here cannot be sent',
    next: 'Send plain files and folders: leave links, devices and pipes out.',
  },
  'file-there': {
    status: 409,
    title: 'There is something of this name already',
    next: 'Choose another folder with --out. Nothing is ever overwritten.',
  },
  'parcel-many-files': {
    status: 409,
    title: 'Only a parcel with one file can be written to standard output',
    next: 'Save its files in a folder: --out FOLDER.',
  },
  'recipient-unknown': {
    status: 422,
    title: 'This person is not in the directory',
    next: 'Check the address, or say who it is: add --kind individual or --kind organisation, and --name.',
  },
  'question-open': {
    status: 422,
    title: 'A question has no answer yet',
    next: 'Add the answers named. not-sure is always one.',
  },
  'collect-code-mailed': {
    status: 202,
    title: 'A code has been mailed',
    next: 'Run the same command again with --code and the code.',
  },
  'collect-unconfirmed': {
    status: 403,
    title: 'Purpose, limits and handling have not been confirmed',
    next: 'Read them, then run the same command again with --yes.',
  },

  // Names of files in a parcel
  'file-name-absolute': {
    status: 422,
    title: 'A file name begins at the top of a disk',
    next: 'Use a name inside the folder being sent.',
  },
  'file-name-outside': {
    status: 422,
    title: 'A file name points outside its folder',
    next: 'Do not open it. Ask the sender to send it again under a plain name.',
  },
  'file-name-reserved': {
    status: 422,
    title: 'A file name is one that some computers refuse',
    next: 'Rename the file: no < > : " | ? * \\, no name such as CON, no dot or space at the end.',
  },
  'file-name-hidden-characters': {
    status: 422,
    title: 'A file name has hidden characters in it',
    next: 'Rename the file with visible characters only.',
  },
  'file-name-too-long': {
    status: 422,
    title: 'A file name is too long',
    next: 'Shorten the name of the file or of its folders.',
  },
  'file-name-malformed': { status: 422, title: 'A file name is not well formed', next: 'Rename the file.' },
  'file-name-twice': { status: 422, title: 'Two files have the same name', next: 'Rename one of them.' },
  'file-name-case': {
    status: 422,
    title: 'Two names differ only in capitals or accents',
    next: 'Rename one of them: some computers would keep only one.',
  },

  // Opening what was sealed
  'sealed-malformed': {
    status: 422,
    title: 'This is not a sealed file',
    next: 'Check that it is the right file and that it is complete.',
  },
  'sealed-header-altered': {
    status: 422,
    title: 'The beginning of this sealed file has been altered',
    next: 'Do not rely on it. Ask the sender to send it again.',
  },
  'sealed-for-another': {
    status: 422,
    title: 'This key does not open it',
    next: 'Check that you use the key it was sealed for.',
  },
  'sealed-altered': {
    status: 422,
    title: 'This sealed file has been altered',
    next: 'Do not rely on what came out of it. Ask the sender to send it again.',
  },
  'sealed-truncated': {
    status: 422,
    title: 'The end of this sealed file is missing',
    next: 'Fetch it again. What came out so far is not complete.',
  },
  'sealed-too-costly': {
    status: 422,
    title: 'This lock asks for far more work than it should',
    next: 'Do not open it. Tell the sender.',
  },
  'phrase-length': {
    status: 422,
    title: 'The phrase has seven words',
    next: 'Enter all seven words, in the order you were told.',
  },
  'phrase-word': {
    status: 422,
    title: 'One of the words is not in the list of words',
    next: 'Check its spelling, or ask for that word again.',
  },
  'phrase-wrong': {
    status: 422,
    title: 'This phrase does not open this parcel',
    next: 'Check the words and their order. Every parcel and every recipient has a phrase of their own.',
  },
  'lock-malformed': {
    status: 422,
    title: 'The lock of this parcel could not be read',
    next: 'Ask the sender for a new one.',
  },
  'lock-version': { status: 422, title: 'The lock was made by a newer Safehand', next: 'Use the newest opener.' },
  'lock-other-parcel': {
    status: 422,
    title: 'This lock belongs to another parcel',
    next: 'Do not go on. Tell the sender.',
  },
  'lock-swapped': {
    status: 422,
    title: 'This is the lock of another recipient',
    next: 'Do not go on. Tell the sender.',
  },
  'lock-other-manifest': {
    status: 422,
    title: 'The list of contents is not the one that was sealed',
    next: 'Do not go on. Tell the sender.',
  },
  'manifest-malformed': {
    status: 422,
    title: 'The list of contents could not be read',
    next: 'Do not go on. Ask the sender to send it again.',
  },
  'manifest-version': {
    status: 422,
    title: 'This parcel was made by a newer Safehand',
    next: 'Use the newest opener.',
  },
  'manifest-other-parcel': {
    status: 422,
    title: 'The list of contents belongs to another parcel',
    next: 'Do not go on. Tell the sender.',
  },
  'manifest-too-large': {
    status: 422,
    title: 'The list of contents is too long',
    next: 'Ask the sender to put the files into one archive.',
  },
  'content-truncated': {
    status: 422,
    title: 'The end of the content is missing',
    next: 'Fetch it again. What came out so far is not complete.',
  },
  'content-reordered': {
    status: 422,
    title: 'Pieces of the content are in the wrong order',
    next: 'Do not rely on what came out. Tell the sender.',
  },
  'content-altered': {
    status: 422,
    title: 'The content has been altered',
    next: 'Do not rely on what came out. Ask the sender to send it again.',
  },
  'content-other-parcel': {
    status: 422,
    title: 'The content belongs to another parcel',
    next: 'Do not go on. Tell the sender.',
  },
  'content-differs': {
    status: 422,
    title: 'The content is not what its list says',
    next: 'Do not rely on what came out. Tell the sender.',
  },
  'content-link': {
    status: 422,
    title: 'The content holds a link or a device, which is never sent',
    next: 'Do not go on. Tell the sender.',
  },
  'entry-digest-differs': {
    status: 422,
    title: 'A file is not the one its list says',
    next: 'Do not rely on it. Ask the sender to send it again.',
  },
  'parcel-not-opened': {
    status: 409,
    title: 'The parcel has not been opened completely',
    next: 'Open every file first. Only then can you confirm that you have it.',
  },
  'receipt-malformed': { status: 422, title: 'The receipt could not be read', next: 'Ask for it again.' },
  'receipt-signature': {
    status: 422,
    title: 'A signature on the receipt does not fit',
    next: 'Do not rely on this receipt.',
  },

  // Bytes on their way in
  'digest-differs': { status: 422, title: 'What arrived is not what was sent', next: 'Send it again.' },

  // Addresses
  'address-malformed': {
    status: 422,
    title: 'This is not an email address that Safehand can send to',
    next: 'Check it, for example name@example.gov.uk.',
  },

  // The database
  'data-folder-in-use': {
    status: 503,
    title: 'Safehand is already running on this data folder',
    next: 'Stop the other one first, or choose another data folder.',
  },
  'database-older': {
    status: 503,
    title: 'The database is not yet as this version needs it',
    next: 'Run safehand migrate as its owner, then start again.',
  },
  'database-login-wrong': {
    status: 503,
    title: 'The server’s login to the database is not as it must be',
    next: 'Give DATABASE_URL a login made as docs/operate.md says, and keep the owner’s for DATABASE_MIGRATE_URL.',
  },
  'database-owner-wrong': {
    status: 503,
    title: 'The database cannot be made ready with this login',
    next: 'Set DATABASE_MIGRATE_URL to the owner’s login, made as docs/operate.md says.',
  },
  'database-newer': {
    status: 503,
    title: 'This database was made by a newer Safehand',
    next: 'Start the newer version again. Nothing has been changed.',
  },

  // Register, and receipts from it
  'proof-malformed': {
    status: 422,
    title: 'This is not a whole receipt',
    next: 'Get the receipt again and check the file as it was saved, unchanged.',
  },
  'proof-without-evidence': {
    status: 422,
    title: 'This receipt does not say what it is a receipt for',
    next: 'Ask for the receipt again. The record it belongs to may have been erased.',
  },
  'proof-origin-wrong': {
    status: 422,
    title: 'This receipt is from another register than the one the key belongs to',
    next: 'Check the key with the organisation, then try again.',
  },
  'proof-not-witnessed': {
    status: 422,
    title: 'Too few of the witnesses you trust have signed this receipt',
    next: 'Ask for a newer receipt, or ask the witnesses.',
  },
  'witness-request-malformed': {
    status: 400,
    title: 'This is not a request to cosign a checkpoint',
    next: 'Send the old size, the consistency proof, an empty line and the checkpoint (c2sp.org/tlog-witness).',
  },
  'witness-log-unknown': {
    status: 404,
    title: 'This witness does not know that register',
    next: 'Ask whoever runs the witness to add the key of the register.',
  },
  'witness-not-signed': {
    status: 403,
    title: 'The checkpoint is not signed with the register’s key',
    next: 'Send it as the register signed it. If the register has a new key, tell whoever runs the witness.',
  },
  'witness-size-differs': {
    status: 409,
    title: 'This witness last cosigned another size of the register',
    next: 'Send a proof that begins at the size which this answer names.',
  },
  'witness-root-differs': {
    status: 409,
    title: 'This witness cosigned another register of the same size',
    next: 'Whoever signed both shows different registers to different people. Keep both checkpoints.',
  },
  'witness-inconsistent': {
    status: 422,
    title: 'The register does not continue the one that this witness cosigned',
    next: 'Send a proof that fits. If there is none, the register was rewritten: keep both checkpoints.',
  },
  'witness-silent': {
    status: 503,
    title: 'A witness does not answer',
    next: 'It is asked again from time to time. If it stays away, ask whoever runs it.',
  },
  'witness-refuses': {
    status: 502,
    title: 'A witness refuses to cosign',
    next: 'Run safehand fsck, and ask whoever runs the witness what it has seen.',
  },
  'proof-not-included': {
    status: 422,
    title: 'This receipt does not show what it claims',
    next: 'Do not rely on it. Ask the organisation for the receipt again, and report it if it fails once more.',
  },
  'proof-not-ready': {
    status: 503,
    title: 'The receipt is not ready yet',
    next: 'Try again in a few seconds. The event is recorded.',
  },
  'proof-erased': {
    status: 410,
    title: 'The details of this event have been erased',
    next: 'A receipt that was saved earlier can still be checked.',
  },
  'note-malformed': {
    status: 422,
    title: 'The signed part cannot be read',
    next: 'Get it again and check it as it was saved, unchanged.',
  },
  'note-signature-unknown': {
    status: 422,
    title: 'This is not signed with a key that you trust',
    next: 'Check that you have the right key of the register, then try again.',
  },
  'note-signature-wrong': {
    status: 422,
    title: 'The signature is false',
    next: 'Do not rely on it. Tell the organisation whose register it names.',
  },
  'checkpoint-malformed': {
    status: 422,
    title: 'The signed part is not a state of a register',
    next: 'Get it again and check it as it was saved, unchanged.',
  },
  'bundle-malformed': {
    status: 422,
    title: 'Published entries of the register cannot be read',
    next: 'Run safehand fsck.',
  },
  'vkey-malformed': {
    status: 422,
    title: 'This is not the key of a register',
    next: 'Copy the whole key: a name, a plus sign, eight characters, a plus sign and the rest.',
  },
  'trust-policy-malformed': {
    status: 422,
    title: 'The list of whom to trust cannot be read',
    next: 'Correct the line named, then try again.',
  },
  'file-unreadable': {
    status: 422,
    title: 'The file cannot be read',
    next: 'Check its name, and that you may read it.',
  },
  'keeper-behind': {
    status: 503,
    title: 'The register will not be signed: what was published is ahead of the database',
    next: 'The database may have been restored from an old backup. Publish nothing before it is repaired.',
  },
  'keeper-differs': {
    status: 503,
    title: 'The register will not be signed: database and published register do not fit each other',
    next: 'Run safehand fsck, which names the first event that is wrong.',
  },
  'keeper-elsewhere': {
    status: 503,
    title: 'The database holds the register of another key',
    next: 'Start with the key file that belongs to this database.',
  },

  'keeper-restored': {
    status: 503,
    title: 'The register will not be signed: the database was restored from a backup',
    next: 'Run safehand keeper adopt, which takes in what was published after the backup.',
  },

  'keeper-busy': {
    status: 503,
    title: 'Another keeper is at work',
    next: 'Try again in a moment.',
  },
  'adopt-differs': {
    status: 409,
    title: 'The database and what was published do not fit each other. Nothing was changed',
    next: 'Check that both belong to this register. Keep what was published: it is the evidence.',
  },
  'adopt-older': {
    status: 409,
    title: 'What is published there is not the newest. Nothing was changed',
    next: 'Name another place with --from: a mirror, or the folder of the register as it was before.',
  },
  'adopt-unproven': {
    status: 409,
    title: 'Nothing is published there, so nothing shows what was signed after the backup',
    next: 'Name where the register was published with --from. Only if you know that nothing was signed after the backup, add --nothing-later.',
  },

  // Erasure
  'erasure-unknown': {
    status: 404,
    title: 'There is nothing of this name to erase',
    next: 'Check the reference or the address. What was erased before is not found either.',
  },
  'erasure-open': {
    status: 409,
    title: 'This cannot be erased yet',
    next: 'End what is named, then try again.',
  },
  'erasures-unreadable': {
    status: 503,
    title: 'The list of erasures cannot be read',
    next: 'Put the list back as it was. Without it nobody knows what a backup must not bring back.',
  },
  'reason-names': {
    status: 422,
    title: 'The reason names whom it is about',
    next: 'Write it without the name, address or reference: the reason stays, and they should not.',
  },

  // Backup and restore
  'backup-malformed': {
    status: 422,
    title: 'This is not a backup that this version can read',
    next: 'Check that it is the right file, whole, and not made by a newer Safehand.',
  },
  'backup-incomplete': {
    status: 422,
    title: 'The backup was made, but bytes of parcels are missing from the store',
    next: 'Keep it. Run safehand fsck to see which parcels cannot be opened any more, and ask for them to be sent again.',
  },
  'identity-malformed': {
    status: 422,
    title: 'This is not a file with one age identity',
    next: 'Name the file that age-keygen made: one line in it begins with AGE-SECRET-KEY-.',
  },
  'database-not-empty': {
    status: 409,
    title: 'The database to restore into is not empty',
    next: 'Make a new, empty database and name it in DATABASE_URL.',
  },
  'restore-unfinished': {
    status: 503,
    title: 'A restore has not come to its end here',
    next: 'Run safehand restore again, into the same folder and, if you use your own database, into a new and empty one.',
  },
  'blob-differs': {
    status: 422,
    title: 'The bytes of a parcel are not what the backup’s own list says',
    next: 'Restore from another backup.',
  },

  // Rulebooks
  'rulebook-unreadable': {
    status: 422,
    title: 'There is a mistake in this file',
    next: 'Correct it at the lines named, then load it again.',
  },
  'rulebook-not-ours': {
    status: 503,
    title: 'This release of Safehand cannot read a rulebook that was published',
    next: 'Start the newer release, or take the release’s own file back into force with: safehand rulebook restore ID.',
  },
  'draft-fails': {
    status: 409,
    title: 'This draft cannot be published as it stands',
    next: 'Open the draft: its page says which part fails, and where.',
  },
  'draft-closed': {
    status: 409,
    title: 'This draft can no longer be changed',
    next: 'Make a new draft from the version in force.',
  },
  'draft-by-author': {
    status: 403,
    title: 'You cannot approve a change that you had a part in writing',
    next: 'Ask another information governance officer, or the data protection officer.',
  },
  'drafts-too-many': {
    status: 409,
    title: 'There are too many open drafts of this rulebook',
    next: 'Withdraw one that is no longer needed.',
  },
  'proofs-busy': {
    status: 503,
    title: 'Other rulebooks are being analysed just now',
    next: 'What you typed is kept. Try again in a minute.',
  },
  'rulebooks-tangled': {
    status: 422,
    title: 'These rules are too intertwined to be analysed',
    next: 'Split a rule that reads many facts into several, or analyse fewer rulebooks together.',
  },
  'facts-unreadable': {
    status: 422,
    title: 'Some answers cannot be used',
    next: 'Answer the questions named below again.',
  },
  'facts-contradict': { status: 422, title: 'Two answers do not go together', next: 'Check which of them is right.' },
} as const satisfies Record<string, { status: number; title: string; next: string }>

export type ProblemSlug = keyof typeof problems
