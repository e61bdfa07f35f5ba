import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tf, useBackend } from 'miniai/engine'
import { rand, seed } from 'miniai/random'
import { lossAndGrads } from 'miniai/training'
import { digitsVAE, loadVAE, Posterior, psnr, sdVAE, toLatents, toPictures, VAE, VAEConfig } from 'miniai/vae'
import { sameAsDiffusers } from './distances'
import { refuses } from './refusals'

const small: VAEConfig = { blockOutChannels: [8, 16], normNumGroups: 4, layersPerBlock: 1,
  downBlockTypes: Array(2).fill('DownEncoderBlock2D'), upBlockTypes: Array(2).fill('UpDecoderBlock2D') }

sameAsDiffusers('vae', 22, 16, (backend, n) =>
  `VAE on ${backend} with diffusers' weights gives diffusers' answers, ${n} of them`)

it('new VAE(config) names every parameter as AutoencoderKL does, and each has a gradient', async () => {
  await useBackend('wasm')
  seed(1)
  const vae = new VAE(small), params = vae.params(), names = Object.keys(params)
  assert.ok(['encoder.conv_in.weight', 'encoder.down_blocks.0.downsamplers.0.conv.bias', 'encoder.down_blocks.1.resnets.0.conv_shortcut.weight',
    'encoder.mid_block.attentions.0.group_norm.weight', 'encoder.mid_block.attentions.0.to_out.0.bias', 'encoder.mid_block.resnets.1.norm2.bias',
    'encoder.conv_norm_out.weight', 'encoder.conv_out.bias', 'quant_conv.weight', 'post_quant_conv.bias', 'decoder.mid_block.attentions.0.to_q.weight',
    'decoder.up_blocks.0.resnets.1.conv2.weight', 'decoder.up_blocks.0.upsamplers.0.conv.weight', 'decoder.conv_out.weight'].every(o => names.includes(o)))
  assert.equal(names.some(o => o.includes('time_emb')), false)
  const x = tf.randomUniform([1, 4, 6, 3], -1, 1, 'float32', 1), eps = tf.randomNormal([1, 2, 3, 4], 0, 1, 'float32', 2)
  const f = () => {
    const q = vae.encode(x)
    return tf.add(tf.sum(tf.square(vae.decode(q.at(eps)))), tf.sum(q.kl()))
  }
  const { grads } = lossAndGrads(f, params)
  assert.deepEqual(Object.keys(grads), names)
  const still = names.filter(o => !(tf.max(tf.abs(grads[o])).dataSync()[0] > 0))
  assert.deepEqual(still.filter(o => !o.endsWith('to_k.bias')), [], 'no way for these to learn') // softmax ignores what all keys share
})

it('vae.encode of a batch is the encode of each picture, of any size that halves, and so is decode', async () => {
  await useBackend('wasm')
  const vae = new VAE(small), x = tf.randomUniform([3, 6, 10, 3], -1, 1, 'float32', 1), one = x.slice([1], [1])
  const { mean } = vae.encode(x), far = tf.max(tf.abs(tf.sub(mean.slice([1], [1]), vae.encode(one).mean))).dataSync()[0]
  assert.deepEqual(mean.shape, [3, 3, 5, 4])
  assert.ok(far < 1e-4, `${far}`)
  const back = vae.decode(mean), apart = tf.max(tf.abs(tf.sub(back.slice([1], [1]), vae.decode(mean.slice([1], [1]))))).dataSync()[0]
  assert.deepEqual(back.shape, [3, 6, 10, 3])
  assert.ok(apart < 1e-4, `${apart}`)
  assert.deepEqual([...vae.call(one).shape], [1, 6, 10, 3])
})

it('Posterior.sample(seed) draws the same again, around the mean, and leaves the random numbers alone', async () => {
  await useBackend('wasm')
  const q = new Posterior(tf.fill([5000], 2), tf.fill([5000], Math.log(9)))
  seed(3)
  const next = rand()
  seed(3)
  const [a, b, c] = [7, 7, 8].map(o => q.sample(o))
  assert.equal(rand(), next)
  assert.deepEqual([...a.dataSync()], [...b.dataSync()])
  assert.notDeepEqual([...a.dataSync()], [...c.dataSync()])
  const { mean, variance } = tf.moments(a)
  assert.ok(Math.abs(mean.dataSync()[0] - 2) < 0.15 && Math.abs(variance.dataSync()[0] - 9) < 0.6)
  assert.notDeepEqual([...q.sample().dataSync()], [...q.sample().dataSync()])
})

it('Posterior keeps log σ² between −30 and 20, and kl() is 0 only for mean 0 and σ 1', async () => {
  await useBackend('wasm')
  assert.deepEqual([...new Posterior(tf.zeros([2]), tf.tensor1d([-99, 99])).logVariance.dataSync()], [-30, 20])
  const kl = new Posterior(tf.tensor1d([0, 1, 0]), tf.tensor1d([0, 0, Math.log(4)])).kl().dataSync()
  for (const [i, want] of [0, 0.5, (4 - Math.log(4) - 1) / 2].entries()) assert.ok(Math.abs(kl[i] - want) < 1e-6, `${kl}`)
})

it('psnr(x, y) is 20 dB for pictures that are off by 0.1 everywhere', async () => {
  await useBackend('wasm')
  const x = tf.zeros([2, 4, 4, 3]), far = psnr(x, tf.concat([tf.fill([1, 4, 4, 3], 0.1), tf.fill([1, 4, 4, 3], 0.01)])).dataSync()
  assert.ok(Math.abs(far[0] - 20) < 1e-3 && Math.abs(far[1] - 40) < 1e-3, `${far}`)
})

it('toLatents and toPictures scale, go in parts, clip, and give all tensors back but one', async () => {
  await useBackend('wasm')
  seed(1)
  const vae = new VAE({ ...small, scalingFactor: 0.5 }), x = tf.randomUniform([5, 4, 4, 3], 0, 1, 'float32', 1) as tf.Tensor4D, { numTensors } = tf.memory()
  const z = toLatents(vae, x, 2), y = toPictures(vae, z, 2)
  assert.equal(tf.memory().numTensors, numTensors + 2)
  const plain = vae.encode(tf.sub(tf.mul(x, 2), 1)).mode(), far = tf.max(tf.abs(tf.sub(z, tf.mul(plain, 0.5)))).dataSync()[0]
  assert.ok(far < 1e-4, `${far}`)
  assert.deepEqual([z.shape, y.shape], [[5, 2, 2, 4], [5, 4, 4, 3]])
  assert.ok(y.dataSync().every(o => o >= 0 && o <= 1))
})

refuses([
  ['new VAE with an unknown block', () => new VAE({ ...small, downBlockTypes: ['DownEncoderBlock2D', 'DownBlock2D'] }),
    /^VAE: there is no block "DownBlock2D"; there are DownEncoderBlock2D, AttnDownEncoderBlock2D$/],
  ['new VAE with an encoder\'s block on the way up', () => new VAE({ ...small, upBlockTypes: ['UpDecoderBlock2D', 'DownEncoderBlock2D'] }),
    /^VAE: there is no block "DownEncoderBlock2D"; there are UpDecoderBlock2D, AttnUpDecoderBlock2D$/],
  ['new VAE with more sizes than blocks', () => new VAE({ ...small, blockOutChannels: [8, 16, 16] }), /^VAE: 3 blockOutChannels, 2 downBlockTypes$/],
  ['new VAE with channels that make no groups', () => new VAE({ ...small, normNumGroups: 3 }), /^VAE: 8 channels make no 3 groups \(normNumGroups\)$/],
  ['new VAE with another activation', () => new VAE({ ...small, actFn: 'relu' }), /^VAE: actFn is silu \(or swish, its other name\), got "relu"$/],
  ['vae.encode of a picture with sides that do not halve', () => new VAE({ ...sdVAE, ...small }).encode(tf.ones([1, 5, 4, 3])),
    /^VAE: wanted pictures \[n, h, w, 3\] with sides that are multiples of 2, got \[1,5,4,3\]$/],
  ['vae.encode of a grey picture', () => new VAE(small).encode(tf.ones([1, 4, 4, 1])), /^VAE: wanted pictures \[n, h, w, 3\] .*, got \[1,4,4,1\]$/],
  ['vae.encode of no batch', () => new VAE(small).encode(tf.ones([4, 4, 3])), /^VAE: wanted pictures .*, got \[4,4,3\]$/],
  ['vae.encode of no picture', () => new VAE(small).encode(tf.ones([0, 4, 4, 3])), /^VAE: wanted pictures .*, got \[0,4,4,3\]$/],
  ['vae.decode of a picture', () => new VAE(small).decode(tf.ones([1, 4, 4, 3])), /^VAE: wanted latents \[n, h, w, 4\], got \[1,4,4,3\]$/],
  ['toLatents of a picture of 60 rows', () => toLatents(digitsVAE(), tf.ones([1, 60, 64, 3])), /multiples of 8, got \[1,60,64,3\]$/]
])

const stored = join(__dirname, '../nbs/models/vae.safetensors')
it('loadVAE() reads the scaling factor with the weights', async () => {
  await useBackend('wasm')
  const { config } = loadVAE()
  assert.ok(config.scalingFactor > 0.05 && config.scalingFactor < 5, `${config.scalingFactor}`)
})

it('loadVAE(path) refuses a damaged file, a cut one, another model\'s and one that is not there', async () => {
  await useBackend('wasm')
  const folder = mkdtempSync(join(tmpdir(), 'miniai-vae-')), path = join(folder, 'vae.safetensors'), bytes = readFileSync(stored)
  const refused = (why: RegExp) => assert.throws(() => loadVAE(path), (e: Error) => why.test(e.message) || assert.fail(e.message))
  try {
    refused(/there is no file/)
    writeFileSync(path, bytes.subarray(0, bytes.length - 100))
    refused(/is cut off/)
    const hurt = Buffer.from(bytes)
    hurt[hurt.length - 9] ^= 64
    writeFileSync(path, hurt)
    refused(/is damaged/)
    copyFileSync(join(__dirname, '../nbs/models/guided.safetensors'), path)
    refused(/there is no "encoder/)
  } finally { rmSync(folder, { recursive: true }) }
})
