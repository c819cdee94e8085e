// Drives two nodes with bee-js, the client that most of Swarm's applications use.
//
// node drive.mjs http://127.0.0.1:1633 http://127.0.0.1:1634

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Bee, PrivateKey, Topic } from '@ethersphere/bee-js'

const [senderUrl, receiverUrl] = process.argv.slice(2)
const sender = new Bee(senderUrl)
const receiver = new Bee(receiverUrl)

let paid

const steps = {
  async 'the node is well'() {
    // bee-js 12.1.0 itself knows version 7 of the API; the calls below are the same in 8.
    const health = await sender.getHealth()
    assert.equal(health.status, 'ok')
    assert.equal(health.apiVersion, '8.1.0')
    assert.equal((await sender.getNodeInfo()).beeMode, 'full')
  },

  async 'a batch is bought and becomes usable'() {
    const { currentPrice } = await sender.getChainState()
    const amount = BigInt(currentPrice) * 17_280n * 30n
    const batch = await sender.createPostageBatch(amount, 20, { label: 'bee-js', immutableFlag: false })
    const found = await sender.getPostageBatch(batch)
    assert.equal(found.label, 'bee-js')
    assert.equal(found.usable, true)
    assert.equal(found.immutableFlag, false)
    assert.equal((await sender.getPostageBatches()).length, 1)
    assert.equal((await sender.getPostageBatchBuckets(batch)).buckets.length, 65_536)
    paid = batch
  },

  async 'content is uploaded and read on another node'() {
    for (const length of [1, 4096, 100_000]) {
      const data = randomBytes(length)
      const { reference, tagUid } = await sender.uploadData(paid, data)
      assert.deepEqual(Buffer.from((await receiver.downloadData(reference)).toUint8Array()), data)
      if (tagUid) assert.ok((await sender.retrieveTag(tagUid)).synced > 0)
    }
  },

  async 'a chunk is uploaded and read'() {
    const payload = Buffer.from('a chunk')
    const span = Buffer.alloc(8)
    span.writeBigUInt64LE(BigInt(payload.length))
    const { reference } = await sender.uploadChunk(paid, Buffer.concat([span, payload]))
    const read = await receiver.downloadChunk(reference)
    assert.deepEqual(Buffer.from(read), Buffer.concat([span, payload]))
  },

  async 'a feed is written and read'() {
    const key = new PrivateKey('11'.repeat(32))
    const topic = Topic.fromString('t4t')
    const writer = sender.makeFeedWriter(topic, key)
    await writer.uploadPayload(paid, 'first')
    await writer.uploadPayload(paid, 'second')
    const reader = receiver.makeFeedReader(topic, key.publicKey().address())
    assert.equal((await reader.downloadPayload()).payload.toUtf8(), 'second')
  },

  async 'messages arrive, with and without the recipient’s key'() {
    const topic = Topic.fromString('t4t:provider:0x1')
    const addresses = await receiver.getNodeAddresses()
    const target = addresses.overlay.toHex().slice(0, 4)
    const arrived = []
    let wake = () => {}
    const subscription = receiver.pssSubscribe(topic, {
      onMessage: message => { arrived.push(message.toUtf8()); wake() },
      onError: error => { throw error },
      onClose: () => {},
    })
    try {
      await until(async () => {
        await sender.pssSend(paid, topic, target, 'open')
        return arrived.length > 0
      })
      arrived.length = 0
      await sender.pssSend(paid, topic, target, 'sealed', addresses.pssPublicKey)
      while (!arrived.includes('sealed')) await new Promise(resolve => { wake = resolve })
    } finally {
      subscription.cancel()
    }
  },

  async 'a missing reference is an error'() {
    await assert.rejects(receiver.downloadData('ee'.repeat(32)), error => error.status === 404)
  },
}

async function until(condition) {
  for (let tries = 0; tries < 100; tries++) {
    if (await condition()) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error('it did not happen in time')
}

const tooLate = setTimeout(() => { console.error('bee-js: too slow'); process.exit(1) }, 120_000)
for (const [name, step] of Object.entries(steps)) {
  await step()
  console.log(`ok - ${name}`)
}
clearTimeout(tooLate)
process.exit(0)
