import { toBase64 } from '#core/kit/bytes'
import { ownKey, type DeviceKey } from '#shell/islands/shared/device-key'

/** This browser's key for one recipient's parcel: its public half is acknowledged with, its private half signs. */
export const recipientKey = (recipientId: string): Promise<DeviceKey> => ownKey(`recipient/${recipientId}`)

/** Its public half, as the form sends it. */
export const ownKeyField = async (recipientId: string): Promise<string> =>
  toBase64((await recipientKey(recipientId)).publicKey)
