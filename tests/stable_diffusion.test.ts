// Whole runs against diffusers, what must not change a picture, and the options that are refused.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tf, useBackend } from 'miniai/engine'
import { rand, seed } from 'miniai/random'
import { encodePrompts, GenerateOptions, promptPieces, schedulerNamed, StableDiffusion, StepInfo } from 'miniai/stable_diffusion'
import { tiny } from './checkpoints'
import { distance, sameAsDiffusers } from './distances'

sameAsDiffusers('runs', 13, 1, (backend, n) =>
  `sd.generate on ${backend} paints from diffusers' noise what diffusers paints, for ${n} results`)

let loaded: Promise<StableDiffusion> | undefined
async function tinySd(): Promise<StableDiffusion> {
  await useBackend('wasm')
  return loaded ??= StableDiffusion.load(tiny)
}

const quick = { prompt: 'a red horse', height: 16, width: 16, steps: 2, seed: 7, progress: false } as const
const latent = async (options: GenerateOptions = {}) =>
  (await (await tinySd()).generate({ ...quick, ...options, outputType: 'latent' })).images
async function same(a: tf.Tensor, b: tf.Tensor, most = 0): Promise<void> {
  const far = await distance(a, b)
  assert.deepEqual(a.shape, b.shape)
  assert.ok(far <= most, `${far}`)
}
const item = (x: tf.Tensor, i: number) => x.slice([i], [1])

it('sd.generate: picture i of a batch is the picture of seed i alone, also with fresh noise in each step', async () => {
  for (const scheduler of ['LMS', 'Euler a']) {
    const { images, seeds } = await (await tinySd()).generate({ ...quick, scheduler, prompt: ['a red horse', 'a dog'], numImagesPerPrompt: 2, outputType: 'latent' })
    assert.deepEqual(seeds, [7, 8, 9, 10])
    await same(item(images, 1), await latent({ scheduler, seed: 8 }), 1e-3)
    await same(item(images, 2), await latent({ scheduler, prompt: 'a dog', seeds: [9] }), 1e-3)
    assert.ok(await distance(item(images, 0), item(images, 1)) > 0.1)
  }
})

it('sd.generate: what looks on changes nothing, nor what ran before, nor the random numbers outside', async () => {
  const first = await latent({ scheduler: 'Euler a' }), seen: number[] = []
  await latent({ prompt: 'another', steps: 3, scheduler: 'PLMS' })
  seed(3)
  const next = rand()
  seed(3)
  const onStep = async ({ step, steps, t, latents, x0, pictures }: StepInfo) => {
    const [{ shape, data }] = await pictures()
    assert.deepEqual([shape, data.length, latents.shape, x0.shape, steps], [[16, 16, 3], 768, [1, 2, 2, 4], [1, 2, 2, 4], 2])
    seen.push(step, t)
  }
  await same(await latent({ scheduler: 'Euler a', onStep }), first)
  assert.deepEqual(seen, [0, 999, 1, 0])
  assert.equal(rand(), next)
})

it('sd.generate: strength 1 is text to image, strength 0 the picture as the autoencoder tells it', async () => {
  const init = tf.randomUniform([16, 16, 3], 0, 1, 'float32', 1), { vae } = (await tinySd()).parts
  await same(await latent({ init, strength: 1 }), await latent())
  const told = vae.encode(tf.sub(tf.mul(init.expandDims(0), 2), 1)).mode().mul(vae.config.scalingFactor)
  await same(await latent({ init, strength: 0 }), told)
  assert.ok(await distance(await latent({ init, strength: 0.5 }), told) > 0.1)
})

it('sd.generate with a mask leaves what is black as it was, by any scheduler', async () => {
  const init = tf.randomUniform([1, 16, 16, 3], 0, 1, 'float32', 1), mask = tf.concat([tf.zeros([8, 16]), tf.ones([8, 16])])
  const told = await latent({ init, strength: 0 }), upper = (x: tf.Tensor) => x.slice([0, 0], [1, 1])
  for (const scheduler of ['LMS', 'UniPC', 'Heun', 'Euler a', 'DDIM']) {
    const made = await latent({ init, mask, scheduler, strength: 1 })
    await same(upper(made), upper(told), 1e-6)
    assert.ok(await distance(made, told) > 0.1)
  }
})

it('sd.generate with a guidance up to 1 asks the prompt alone', async () => {
  const { unet } = (await tinySd()).parts, sizes: number[] = []
  unet.conv_in.hooks.push(out => sizes.push(out.shape[0]))
  const [one, none, two] = [await latent({ guidance: 1, negativePrompt: 'x' }), await latent({ guidance: 0 }), await latent({ guidance: 1.5 })]
  unet.conv_in.hooks.pop()
  assert.deepEqual(sizes, [1, 1, 1, 1, 2, 2])
  await same(one, none)
  assert.ok(await distance(one, two) > 1e-3)
})

it('sd.generate takes vectors for prompts, and gives pictures, files, tensors or latents', async () => {
  const sd = await tinySd(), promptEmbeds = encodePrompts(sd.parts, ['a red horse']), negativePromptEmbeds = encodePrompts(sd.parts, [''])
  await same(await latent({ prompt: undefined, promptEmbeds, negativePromptEmbeds }), await latent(), 1e-4)
  const { images: [picture] } = await sd.generate(quick), { images: tensor } = await sd.generate({ ...quick, outputType: 'tensor' })
  const { images: [file] } = await sd.generate({ ...quick, outputType: 'png' })
  assert.deepEqual([tensor.shape, picture.shape, file.subarray(1, 4).toString()], [[1, 16, 16, 3], [16, 16, 3], 'PNG'])
  assert.deepEqual([...picture.data], [...tensor.dataSync()].map(o => Math.round(o * 255)))
})

it('sd.generate leaves no tensor behind, also when it ends early', async () => {
  const sd = await tinySd(), init = tf.zeros([16, 16, 3]), mask = tf.ones([16, 16])
  const before = tf.memory().numTensors, stop = new AbortController()
  await sd.generate({ ...quick, init, mask, strength: 0.5 })
  await assert.rejects(sd.generate({ ...quick, onStep: () => stop.abort(), signal: stop.signal }), { name: 'AbortError' })
  await assert.rejects(sd.generate({ ...quick, prompt: 3 as never }), /a prompt is a text, got 3/)
  await sd.generate({ ...quick, onStep: () => false })
  assert.equal(tf.memory().numTensors, before)
})

it('sd.generate says which words are cut off, once, and ends at once when it is told to stop', async () => {
  const { warn } = console, said: string[] = []
  console.warn = (o: string) => said.push(o)
  try { await latent({ prompt: `${'word '.repeat(74)}first lost (words:1.2)`, numImagesPerPrompt: 2 }) } finally { console.warn = warn }
  assert.deepEqual(said.map(o => o.replace(/^.*: /, '')), ['"lost words"'])
})

it('promptPieces reads weights, and nothing else in parentheses', () => {
  assert.deepEqual(promptPieces('a (red fox:1.3), (b:.5)(c)'), [['a ', 1], ['red fox', 1.3], [', ', 1], ['b', 0.5], ['(c)', 1]])
  assert.deepEqual(promptPieces('5:30 (a:b) (x:1.5.2)'), [['5:30 (a:b) (x:1.5.2)', 1]])
  assert.deepEqual(promptPieces(''), [])
})

it('encodePrompts moves only weighted words, with weight 1 nothing', async () => {
  const { parts } = await tinySd(), [plain, one, red] = tf.split(encodePrompts(parts, ['a red horse', 'a (red:1) horse', 'a (red:1.5) horse']), 3)
  await same(plain, one)
  const moved = tf.max(tf.abs(tf.sub(plain, red)), [0, 2]).dataSync()
  assert.deepEqual([...moved].map((o, i) => o > 0 ? i : -1).filter(i => i >= 0), [2])
})

it('schedulerNamed knows the names of diffusers, of Automatic1111 and ours', () => {
  const own = { _class_name: 'PNDMScheduler', beta_start: 0.1 }
  const of = (name: string) => schedulerNamed(name, own)
  assert.deepEqual(of('Euler a'), { _class_name: 'EulerAncestralDiscreteScheduler', beta_start: 0.1 })
  assert.deepEqual(of('DPM++ 2M Karras'), { _class_name: 'DPMSolverMultistepScheduler', beta_start: 0.1, use_karras_sigmas: true })
  assert.deepEqual(of('LMS Karras'), of('k_lms_karras'))
  const names = ['PLMS', 'pndm', 'PNDMScheduler', 'eulerAncestral', 'k_euler_a', 'UniPC', 'DDIM', 'dpmpp_2m', 'HeunDiscreteScheduler', 'DDPM']
  assert.deepEqual(names.map(o => String(of(o)._class_name).replace('Scheduler', '')),
    ['PNDM', 'PNDM', 'PNDM', 'EulerAncestralDiscrete', 'EulerAncestralDiscrete', 'UniPCMultistep', 'DDIM', 'DPMSolverMultistep', 'HeunDiscrete', 'DDPM'])
  assert.throws(() => of('DPM++ SDE'), { message: /^generate: there is no scheduler "DPM\+\+ SDE"; there are DDIM, .*UniPC, each also with Karras behind it$/ })
})

const wrong: [what: string, options: () => object, why: RegExp][] = [
  ['an option of diffusers', () => ({ guidance_scale: 3 }), /there is no option "guidance_scale"; there are eta, guidance, /],
  ['no prompt', () => ({ prompt: undefined }), /wanted prompt or promptEmbeds, got neither$/],
  ['an empty list of prompts', () => ({ prompt: [] }), /wanted one prompt or more, got none$/],
  ['sides that are no multiples of 8', () => ({ height: 100 }), /height and width are multiples of 8, got 100 × 16$/],
  ['latents with channels first', () => ({ latents: tf.zeros([1, 4, 2, 2]) }), /latents wants the shape \[1,2,2,4\], got \[1,4,2,2\]$/],
  ['latents with NaN', () => ({ latents: tf.fill([1, 2, 2, 4], NaN) }), /latents are not finite \(NaN or ∞\)$/],
  ['a strength of 80', () => ({ init: tf.zeros([16, 16, 3]), strength: 80 }), /strength is a number from 0 to 1, got 80$/],
  ['a picture of another size', () => ({ init: tf.zeros([24, 16, 3]) }), /init wants the shape \[1,16,16,3\], got \[1,24,16,3\]$/],
  ['a mask without a picture', () => ({ mask: tf.zeros([16, 16]) }), /a mask wants init, the picture it lies on$/],
  ['no steps', () => ({ steps: 0 }), /steps is a whole number from 1, got 0$/],
  ['more steps than there are', () => ({ steps: 2000 }), /wanted 1 to 1000 whole steps, got 2000$/],
  ['a guidance that is no number', () => ({ guidance: NaN }), /guidance is a number, got NaN$/],
  ['an unknown output', () => ({ outputType: 'pil' }), /outputType is latent, tensor, picture, png, got "pil"$/],
  ['a seed that is no whole number', () => ({ seed: 1.5 }), /a seed is a whole number from 0, got 1.5$/],
  ['more seeds than pictures', () => ({ seeds: [1, 2] }), /2 seeds for 1 pictures$/],
  ['vectors of another width', () => ({ prompt: undefined, promptEmbeds: tf.zeros([1, 77, 8]) }), /promptEmbeds are \[n, 77, 32\], got \[1,77,8\]$/],
  ['fewer vectors than the empty text has', () => ({ prompt: undefined, promptEmbeds: tf.zeros([1, 5, 32]) }), /the prompts have 5 vectors each, the negative ones 77$/],
  ['three negative prompts for one', () => ({ negativePrompt: ['a', 'b', 'c'] }), /3 negative prompts for 1 prompts$/]
]
for (const [what, options, why] of wrong) {
  it(`sd.generate with ${what} is refused in one sentence`, async () => {
    const sd = await tinySd()
    await assert.rejects(sd.generate({ ...quick, ...options() }), (e: Error) => why.test(e.message) || assert.fail(e.message))
  })
}

it('StableDiffusion.load refuses a folder that is none in one sentence', async () => {
  await tinySd()
  const folder = mkdtempSync(join(tmpdir(), 'miniai-'))
  await assert.rejects(StableDiffusion.load(folder), /wanted a folder with model_index.json, .*, found no model_index.json$/)
  await assert.rejects(StableDiffusion.load(join(folder, 'none')), /there is nothing at /)
  rmSync(folder, { recursive: true })
})
