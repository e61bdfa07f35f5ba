import assert from 'node:assert/strict'
import { tf, useBackend } from 'miniai/engine'
import { seed } from 'miniai/random'
import { lossAndGrads } from 'miniai/training'
import { Attention, fromTorch, sdUNet, timeSines, UNet, UNetConfig } from 'miniai/unet'
import { sameAsDiffusers } from './distances'
import { refuses } from './refusals'

const small: UNetConfig = { ...sdUNet, blockOutChannels: [8, 16], normNumGroups: 4, layersPerBlock: 1,
  downBlockTypes: ['CrossAttnDownBlock2D', 'DownBlock2D'], attentionHeadDim: 2,
  upBlockTypes: ['UpBlock2D', 'CrossAttnUpBlock2D'], crossAttentionDim: 6 }

sameAsDiffusers('unet', 9, 3, (backend, n) =>
  `UNet on ${backend} with diffusers' weights gives diffusers' answers, for ${n} configurations and inputs`)

it('new UNet(config) names every parameter as UNet2DConditionModel does, and each has a gradient', async () => {
  await useBackend('wasm')
  seed(1)
  const unet = new UNet({ ...small, numClassEmbeds: 3 }), params = unet.params(), names = Object.keys(params)
  assert.ok(['class_embedding.weight', 'time_embedding.linear_2.bias', 'mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0.weight',
    'up_blocks.1.attentions.1.transformer_blocks.0.ff.net.0.proj.weight', 'down_blocks.0.downsamplers.0.conv.weight',
    'up_blocks.0.upsamplers.0.conv.bias', 'down_blocks.1.resnets.0.conv_shortcut.weight'].every(o => names.includes(o)))
  const conditions = { context: tf.ones([1, 2, 6]), y: tf.tensor1d([2], 'int32') }
  const f = () => tf.sum(unet.forward(tf.ones([1, 4, 4, 4]), tf.tensor1d([7]), conditions))
  assert.deepEqual(Object.keys(lossAndGrads(f, params).grads), names)
})

it('unet.forward of a batch is the forward of each picture, with one time for all or one for each', async () => {
  await useBackend('wasm')
  const unet = new UNet(small), x = tf.randomNormal([3, 4, 6, 4], 0, 1, 'float32', 1), context = tf.randomNormal([3, 5, 6], 0, 1, 'float32', 2)
  const all = unet.forward(x, tf.tensor1d([9]), { context })
  const one = unet.forward(x.slice([1], [1]), tf.tensor1d([9]), { context: context.slice([1], [1]) })
  const far = tf.max(tf.abs(tf.sub(all.slice([1], [1]), one))).dataSync()[0]
  assert.ok(far < 1e-5, `${far}`)
  assert.deepEqual([...unet.forward(x, tf.fill([3], 9), context).dataSync()], [...all.dataSync()])
})

refuses([
  ['new UNet with an unknown block', () => new UNet({ ...small, downBlockTypes: ['DownBlock2D', 'KDownBlock2D'] }),
    /^UNet: there is no block "KDownBlock2D"; there are DownBlock2D, AttnDownBlock2D, CrossAttnDownBlock2D$/],
  ['new UNet with an unknown middle', () => new UNet({ ...small, midBlockType: 'Mid' }), /^UNet: there is no block "Mid"; there are UNetMidBlock2D, UNetMidBlock2DCrossAttn$/],
  ['new UNet with more sizes than blocks', () => new UNet({ ...small, blockOutChannels: [8, 16, 16] }), /^UNet: 3 blockOutChannels, 2 downBlockTypes$/],
  ['new UNet with channels that make no groups', () => new UNet({ ...small, normNumGroups: 3 }), /^UNet: 8 channels make no 3 groups/],
  ['new UNet with heads that do not divide the channels', () => new UNet({ ...small, attentionHeadDim: 3 }), /^Attention: 8 channels make no 3 heads$/],
  ['unet.forward without a context', () => new UNet(small).forward(tf.ones([1, 4, 4, 4]), tf.tensor1d([1])), /^UNet: wanted a context \[1, m, 6\], got none$/],
  ['unet.forward with a context of another width', () => new UNet(small).forward(tf.ones([1, 4, 4, 4]), tf.tensor1d([1]), tf.ones([1, 2, 5])), /^UNet: wanted a context \[1, m, 6\], got \[1,2,5\]$/],
  ['unet.forward with classes it does not know', () => new UNet(small).forward(tf.ones([1, 4, 4, 4]), tf.tensor1d([1]), { context: tf.ones([1, 2, 6]), y: tf.tensor1d([1]) }),
    /^UNet: wanted no classes, got \[1\]$/],
  ...[[3], [2, 4], [2, 3, 1]].map((shape): [string, () => unknown, RegExp] => [`unet.forward with classes y [${shape}] for two pictures`,
    () => new UNet({ ...small, numClassEmbeds: 3 }).forward(tf.ones([2, 4, 4, 4]), tf.tensor1d([1]), { context: tf.ones([2, 2, 6]), y: tf.zeros(shape) }),
    new RegExp(`^UNet: wanted classes y \\[2\\] or their shares \\[2, 3\\], got \\[${shape}\\]$`)]),
  ['unet.forward with two times for three pictures', () => new UNet(small).forward(tf.ones([3, 4, 4, 4]), tf.tensor1d([1, 2]), tf.ones([3, 2, 6])), /^UNet: wanted times \[3\], got \[2\]$/]
])

it('timeSines gives odd sizes a zero at the end, and either half first', async () => {
  await useBackend('wasm')
  const t = tf.tensor1d([3]), [a, b] = [timeSines(t, 5), timeSines(t, 4, { flip: true })].map(o => [...o.dataSync()])
  assert.equal(a.length, 5)
  assert.equal(a[4], 0)
  assert.ok(Math.abs(b[0] - Math.cos(3)) < 1e-6 && Math.abs(b[2] - Math.sin(3)) < 1e-6)
})

it('attention to one place gives that place\'s value whatever is asked', async () => {
  await useBackend('wasm')
  const layer = new Attention(4, { heads: 2, context: 3 }), context = tf.ones([1, 1, 3])
  const [a, b] = [1, -5].map(v => layer.call(tf.fill([1, 1, 4], v), context).dataSync())
  assert.deepEqual(a, b)
})

it('fromTorch turns matrices and convolutions, not tables', async () => {
  await useBackend('wasm')
  assert.deepEqual(fromTorch('proj.weight', tf.tensor([[1, 2, 3]])).shape, [3, 1])
  assert.deepEqual(fromTorch('token_embedding.weight', tf.ones([5, 2])).shape, [5, 2])
  assert.deepEqual([...fromTorch('conv.weight', tf.range(0, 8).reshape([2, 2, 1, 2])).dataSync()], [0, 4, 2, 6, 1, 5, 3, 7])
})
