// @ts-check
// Jupyter's messages as ZeroMQ frames: routing identities, a signature, and four parts of JSON.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html
const { createHmac, randomUUID } = require('crypto')

/**
 * @typedef {object} Header
 * @property {string} msg_id
 * @property {string} msg_type
 * @property {string} session
 * @property {string} username
 * @property {string} date
 * @property {string} version
 */
/**
 * @typedef {object} Message
 * @property {Buffer[]} identities
 * @property {Header} header
 * @property {Partial<Header>} parent
 * @property {object} metadata
 * @property {any} content
 */

const DELIMITER = '<IDS|MSG>'

/** @param {string} key @param {(string | Buffer)[]} parts */
function sign(key, parts) {
  const hash = createHmac('sha256', key)
  for (const part of parts) hash.update(part)
  return key && hash.digest('hex')
}

/** @param {string} key @param {Message} m */
function encode(key, { identities, header, parent, metadata, content }) {
  const parts = [header, parent, metadata, content].map(part => JSON.stringify(part))
  return [...identities, DELIMITER, sign(key, parts), ...parts]
}

/** @param {string} key @param {Buffer[]} frames @returns {Message} */
function decode(key, frames) {
  const at = frames.findIndex(f => f.toString() === DELIMITER), parts = frames.slice(at + 2, at + 6)
  if (at < 0 || parts.length < 4) {
    throw new Error(`a Jupyter message has a delimiter and four parts, got ${frames.length} frames`)
  }
  if (sign(key, parts) !== frames[at + 1].toString()) {
    throw new Error('a Jupyter message with a wrong signature was refused')
  }
  const [header, parent, metadata, content] = parts.map(p => JSON.parse(p.toString()))
  return { identities: frames.slice(0, at), header, parent, metadata, content }
}

/**
 * A message of `type` that answers `to`, or begins a talk.
 * @param {string} type @param {object} content @param {Partial<Message>} [to]
 * @returns {Message}
 */
function message(type, content, to = {}) {
  const { session = randomUUID(), username = 'miniai' } = to.header ?? {}
  const msg_id = randomUUID(), date = new Date().toISOString()
  const header = { msg_id, msg_type: type, session, username, date, version: '5.3' }
  return { identities: to.identities ?? [], header, parent: to.header ?? {}, metadata: {}, content }
}

module.exports = { encode, decode, message }
