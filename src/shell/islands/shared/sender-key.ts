/** Whose keys of this browser are meant: two colleagues may share a computer, and strengths are never mixed. */
export interface Holder {
  personId: string
  pq: boolean
}

/** The name of a sender's key in this browser. */
export const senderKeyName = ({ personId, pq }: Holder) => `sender/${personId}/${pq ? 'hybrid' : 'x25519'}`
