// Do not edit: made by "npm run export" from ../nbs/25_stable_diffusion.ipynb (9bc6febf3b40)
// All classes are there: tokenizer, text model, U-Net, samplers, autoencoder. Fill them with the weights of Stable Diffusion, take one picture apart step by step, and put the steps together to a pipeline.

import { randomInt } from 'crypto'
import { inspect } from 'util'
import { ClipText, ClipTextConfig } from './clip'
import { tf, useBackend } from './engine'
import { cfg } from './guidance'
import { Progress, png } from './plots'
import { SampleStep, Sampler, SchedulerConfig, Solver, fromConfig, sample } from './samplers'
import { ClipTokenizer } from './tokenizer'
import { Module } from './training'
import { UNet } from './unet'
import { VAE, VAEConfig } from './vae'
import { OpenOptions, Part, hollow, loadInto, openCheckpoint } from './weights'

// %% ../nbs/25_stable_diffusion.ipynb 6038e35a
/** A part of a checkpoint as a network with its weights. */
function filled<M extends Module>(make: () => M, part: Part): M {
  const model = hollow(make)
  loadInto(model, part)
  return model.train(false)
}

// %% ../nbs/25_stable_diffusion.ipynb 87aedeca
/** What a Stable Diffusion consists of; `scheduler` is how to sample, in the words of diffusers. */
export interface SDParts {
  unet: UNet
  vae: VAE
  textEncoder: ClipText
  tokenizer: ClipTokenizer
  scheduler: SchedulerConfig
}

// %% ../nbs/25_stable_diffusion.ipynb 0669bbde
/** Read the parts of a Stable Diffusion from a folder or a file. */
export function loadParts(path: string, options: OpenOptions = {}): SDParts {
  const o = openCheckpoint(path, options), tokenizer = o.loadTokenizer()
  const text = o.textEncoder.config as ClipTextConfig, places = text.maxPositionEmbeddings ?? 77
  const misfit = `the tokenizer makes ${tokenizer.length} tokens, the text model reads ${places}`
  if (tokenizer.length > places) throw new Error(`${path}: ${misfit}`)
  return { tokenizer, scheduler: o.scheduler,
    textEncoder: filled(() => new ClipText(text), o.textEncoder),
    unet: filled(() => new UNet(o.unet.config), o.unet),
    vae: filled(() => new VAE(o.vae.config), o.vae) }
}

// %% ../nbs/25_stable_diffusion.ipynb e35d28d3
/** Latents [n, h, w, 4] → pictures [n, 8 h, 8 w, 3], 0 … 1; one by one, to save memory. */
export function decodeLatents(vae: VAE, z: tf.Tensor): tf.Tensor4D {
  return tf.tidy(() => tf.concat(tf.split(z, z.shape[0]).map(one => tf.tidy(() => {
    const x = vae.decode(tf.div(one, vae.config.scalingFactor))
    return tf.clipByValue(tf.add(tf.div(x, 2), 0.5), 0, 1)
  })))) as tf.Tensor4D
}

// %% ../nbs/25_stable_diffusion.ipynb 911e9ad5
const classes: Record<string, string> = {
  ddpm: 'DDPM', ddim: 'DDIM', pndm: 'PNDM', plms: 'PNDM', euler: 'EulerDiscrete',
  eulera: 'EulerAncestralDiscrete', eulerancestral: 'EulerAncestralDiscrete', lms: 'LMSDiscrete',
  heun: 'HeunDiscrete', dpmpp2m: 'DPMSolverMultistep', unipc: 'UniPCMultistep'
}
const familiar = ['DDIM', 'DDPM', 'PLMS', 'Euler', 'Euler a', 'Heun', 'LMS', 'DPM++ 2M', 'UniPC']

/** A name without what people write differently. */
const bare = (name: string) => name.toLowerCase().replaceAll('++', 'pp').replace(/^k_/, '')
  .replace(/[^a-z0-9]/g, '').replace(/scheduler$/, '')

// %% ../nbs/25_stable_diffusion.ipynb 19d03516
/** The configuration for a scheduler's name, from a model's own one. */
export function schedulerNamed(name: string, own: SchedulerConfig): SchedulerConfig {
  const [, key, bend] = /^(.*?)(karras|exponential)?$/.exec(bare(name))!, all = Object.values(classes)
  const found = Object.hasOwn(classes, key) ? classes[key] : all.find(o => bare(o) === key)
  const known = familiar.join(', ')
  if (!found) throw new Error(`generate: there is no scheduler "${name}"; there are ${known}, `
    + 'each also with Karras behind it')
  return { ...own, _class_name: `${found}Scheduler`, ...bend && { [`use_${bend}_sigmas`]: true },
    ...key === 'plms' && { skip_prk_steps: true } }
}

// %% ../nbs/25_stable_diffusion.ipynb 3c8b377b
/** A prompt in pieces: "a (red:1.3) horse" → [["a ", 1], ["red", 1.3], [" horse", 1]]. */
export function promptPieces(prompt: string): [text: string, weight: number][] {
  if (typeof prompt !== 'string') throw new TypeError(`a prompt is a text, got ${inspect(prompt)}`)
  const parts = prompt.split(/\(([^()]+):(\d*\.?\d+)\)/)
  const pieces = parts.map((text, k): [string, number] =>
    k % 3 === 2 ? ['', 1] : [text, k % 3 ? Number(parts[k + 1]) : 1])
  return pieces.filter(([text]) => text)
}

// %% ../nbs/25_stable_diffusion.ipynb 403b58b6
/** The token numbers of a prompt, as many as the model reads, and the weight of each. */
function weighted(tok: ClipTokenizer, prompt: string): { ids: number[], weights: number[] } {
  const [from, to] = tok.encode(''), ids = [from], weights = [1]
  for (const [text, weight] of promptPieces(prompt)) {
    const some = tok.encode(text).slice(1, -1)
    ids.push(...some)
    weights.push(...some.map(() => weight))
  }
  const kept = weights.slice(0, tok.length - 1)
  return { ids: tok.pad([...ids, to]), weights: [...kept, ...Array(tok.length - kept.length).fill(1)] }
}

// %% ../nbs/25_stable_diffusion.ipynb 543362de
/** Prompts, in which words may have weights → [n, 77, c]. */
export function encodePrompts({ textEncoder, tokenizer }: SDParts, prompts: string[]): tf.Tensor3D {
  const rows = prompts.map(o => weighted(tokenizer, o)), all = rows.map(o => o.weights)
  return tf.tidy(() => {
    const told = textEncoder.forward(rows.map(o => o.ids)) as tf.Tensor3D
    if (all.flat().every(o => o === 1)) return told
    const empty = textEncoder.forward([tokenizer.pad(tokenizer.encode(''))])
    const more = tf.expandDims(tf.sub(tf.tensor2d(all), 1), 2) // [n, 77, 1]
    return tf.add(told, tf.mul(tf.sub(told, empty), more))
  })
}

// %% ../nbs/25_stable_diffusion.ipynb 2610ac89
/** A picture as bytes, 0 … 255, with the shape [h, w, 3]. */
export interface Picture { shape: number[], data: Uint8Array }

// %% ../nbs/25_stable_diffusion.ipynb 83b7ffb4
/** Pictures [n, h, w, 3], 0 … 1, as bytes. */
export async function toPictures(x: tf.Tensor): Promise<Picture[]> {
  const whole = tf.tidy(() => tf.cast(tf.round(tf.mul(x, 255)), 'int32')), [n, ...shape] = x.shape
  const all = Uint8Array.from(await whole.data()), size = all.length / n
  whole.dispose()
  return Array.from({ length: n }, (_, i) => ({ shape, data: all.slice(i * size, (i + 1) * size) }))
}

// %% ../nbs/25_stable_diffusion.ipynb 7f3aacfe
/** What `generate` can give, by its name. */
export interface Outputs { picture: Picture[], png: Buffer[], tensor: tf.Tensor4D, latent: tf.Tensor4D }

// %% ../nbs/25_stable_diffusion.ipynb 19107d12
const toPng = ({ data, shape }: Picture) => png(data, shape[1], 3)

/** How each output is made of latents, which are then no longer needed. */
const makers: { [K in keyof Outputs]: (vae: VAE, z: tf.Tensor4D) => Promise<Outputs[K]> } = {
  latent: async (_, z) => z,
  tensor: async (vae, z) => spent(z, decodeLatents(vae, z)),
  picture: async (vae, z) => {
    const x = spent(z, decodeLatents(vae, z)), all = await toPictures(x)
    return spent(x, all)
  },
  png: async (vae, z) => (await makers.picture(vae, z)).map(toPng)
}

function spent<T>(x: tf.Tensor, result: T): T {
  x.dispose()
  return result
}

// %% ../nbs/25_stable_diffusion.ipynb c0890893
/** A picture or a batch of them as a tensor [n, h, w, c], 0 … 1, that belongs to the caller. */
function fromPictures(o: Picture | tf.Tensor, name: string): tf.Tensor4D {
  const isTensor = o instanceof tf.Tensor, { shape } = o, rank = shape?.length
  if (rank !== 2 && rank !== 3 && rank !== 4) {
    throw new Error(`generate: ${name} is a picture [h, w, c], got ${isTensor ? `[${shape}]` : inspect(o)}`)
  }
  const x = isTensor ? tf.cast(o, 'float32') : tf.div(tf.tensor(Float32Array.from(o.data), shape), 255)
  const four = rank === 4 ? shape : [1, shape[0], shape[1], shape[2] ?? 1]
  return tf.reshape(isTensor && o.dtype === 'int32' ? tf.div(x, 255) : x, four as [1, 1, 1, 1])
}

// %% ../nbs/25_stable_diffusion.ipynb 2d29edd0
/** A sampler that after each step puts `init` back, as noisy as x is there, where `mask` is 0. */
export function masked(sampler: Sampler, init: tf.Tensor, mask: tf.Tensor): Sampler {
  return (schedule, options) => {
    const o = sampler(schedule, options)
    let eps: tf.Tensor | undefined
    const step: Solver['step'] = (out, x, moment) => {
      const next = o.step(out, x, moment), k = moment.i + 1, isLast = k === o.timesteps.length
      eps ??= tf.keep(moment.noise())
      const known = isLast ? init : o.noised(init, eps, k), rest = tf.sub(1, mask)
      return { ...next, x: tf.add(tf.mul(next.x, mask), tf.mul(known, rest)) }
    }
    return { ...o, step, dispose: () => [eps, o].forEach(o => o?.dispose?.()) }
  }
}

// %% ../nbs/25_stable_diffusion.ipynb 018a73de
/** What `onStep` sees; the tensors are gone when it is done. `pictures` decodes the latents. */
export interface StepInfo {
  step: number
  steps: number
  t: number
  latents: tf.Tensor4D
  x0: tf.Tensor4D
  pictures(): Promise<Picture[]>
}

// %% ../nbs/25_stable_diffusion.ipynb cecae10d
/** What `sd.generate` is asked for. */
export interface GenerateOptions {
  prompt?: string | string[]
  negativePrompt?: string | string[]
  /** In the place of prompts: [n, 77, c]. */
  promptEmbeds?: tf.Tensor
  negativePromptEmbeds?: tf.Tensor
  height?: number
  width?: number
  steps?: number
  /** g of u + g (t − u); up to 1 the prompt alone is asked. */
  guidance?: number
  /** A name as "Euler a", or words of a scheduler_config.json. */
  scheduler?: string | SchedulerConfig
  /** DDIM's share of fresh noise. */
  eta?: number
  numImagesPerPrompt?: number
  /** Of the first picture; the next ones have the next numbers. Or one for each. */
  seed?: number
  seeds?: number[]
  /** Normal numbers [n, h/8, w/8, 4] to begin with. */
  latents?: tf.Tensor
  /** Begin from this picture, with noise for the part `strength` of the steps. */
  init?: Picture | tf.Tensor
  strength?: number
  /** White (1) is painted anew, black (0) stays as in `init`. */
  mask?: Picture | tf.Tensor
  outputType?: keyof Outputs
  /** Called after each step; giving back `false` ends the run there. */
  onStep?: (o: StepInfo) => unknown
  signal?: AbortSignal
  progress?: boolean
}

// %% ../nbs/25_stable_diffusion.ipynb c8add29b
const usual = { steps: 50, guidance: 7.5, numImagesPerPrompt: 1, strength: 0.8, eta: 0,
  outputType: 'picture' as keyof Outputs, progress: true }
const names = [...Object.keys(usual), 'prompt', 'negativePrompt', 'promptEmbeds',
  'negativePromptEmbeds', 'height', 'width', 'scheduler', 'seed', 'seeds', 'latents', 'init', 'mask',
  'onStep', 'signal']

const refuse = (why: string): never => { throw new Error(`generate: ${why}`) }

/** The options with what is usual for those left out, if there is such a thing and it can be. */
function checkedOptions(options: GenerateOptions): GenerateOptions & typeof usual {
  const odd = Object.keys(options).find(o => !names.includes(o))
  if (odd) refuse(`there is no option "${odd}"; there are ${names.sort().join(', ')}`)
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const o = { ...usual, ...Object.fromEntries(given) as GenerateOptions } as ReturnType<typeof checkedOptions>
  const { guidance, strength, steps, outputType: type } = o
  if (!Number.isFinite(guidance)) refuse(`guidance is a number, got ${guidance}`)
  if (!(strength >= 0 && strength <= 1)) refuse(`strength is a number from 0 to 1, got ${strength}`)
  if (!(Number.isInteger(steps) && steps > 0)) refuse(`steps is a whole number from 1, got ${steps}`)
  if (!Object.hasOwn(makers, type)) refuse(`outputType is ${Object.keys(makers).join(', ')}, got "${type}"`)
  if (o.mask && !o.init) refuse('a mask wants init, the picture it lies on')
  return o
}

// %% ../nbs/25_stable_diffusion.ipynb f7c1b247
/** Height and width of the latents. */
function latentSize({ unet, vae }: SDParts, { latents, init, ...o }: GenerateOptions): number[] {
  const { factor } = vae, { sampleSize = 64 } = unet.config as { sampleSize?: number }
  const [h, w] = init ? init.shape.slice(init.shape.length - 3) : []
  const sides = latents ? latents.shape.slice(1, 3).map(o => o * factor) : [h, w]
  const [height, width] = [o.height ?? sides[0], o.width ?? sides[1]].map(o => o ?? sampleSize * factor)
  const isFit = [height, width].every(o => o > 0 && Number.isInteger(o / factor))
  if (!isFit) refuse(`height and width are multiples of ${factor}, got ${height} × ${width}`)
  return [height / factor, width / factor]
}

// %% ../nbs/25_stable_diffusion.ipynb 06b3fd14
/** How many prompts there are, and the seed of each picture. */
function counted(o: GenerateOptions & typeof usual): { n: number, seeds: number[] } {
  const { prompt, promptEmbeds, numImagesPerPrompt: each, seed = randomInt(2 ** 32) } = o
  const isOne = (prompt === undefined) !== (promptEmbeds === undefined)
  if (!isOne) refuse(`wanted prompt or promptEmbeds, got ${prompt === undefined ? 'neither' : 'both'}`)
  if (!(Number.isInteger(each) && each > 0)) refuse(`numImagesPerPrompt is 1 or more, got ${each}`)
  const n = promptEmbeds ? promptEmbeds.shape[0] : [prompt].flat().length
  if (!n) refuse('wanted one prompt or more, got none')
  const seeds = o.seeds ?? Array.from({ length: n * each }, (_, i) => seed + i)
  const odd = seeds.find(o => !Number.isSafeInteger(o) || o < 0)
  if (odd !== undefined) refuse(`a seed is a whole number from 0, got ${odd}`)
  if (seeds.length !== n * each) refuse(`${seeds.length} seeds for ${n * each} pictures`)
  return { n, seeds }
}

// %% ../nbs/25_stable_diffusion.ipynb 33976956
/** Vectors for n prompts, from texts or as they were given, each `each` times. */
function embedsOf(parts: SDParts, n: number, each: number, name: string,
  given: tf.Tensor | string | string[]): tf.Tensor {
  const { hiddenSize } = parts.textEncoder.config, isTensor = given instanceof tf.Tensor
  const texts = isTensor ? [] : [given].flat(), some = [...new Set(texts)]
  const isFit = isTensor && given.rank === 3 && given.shape[2] === hiddenSize
  if (isTensor && !isFit) refuse(`${name} are [n, 77, ${hiddenSize}], got [${given.shape}]`)
  const rows = isTensor ? given : encodePrompts(parts, some), places = isTensor
    ? [...Array(given.shape[0]).keys()] : texts.map(o => some.indexOf(o))
  if (places.length !== n && places.length !== 1) refuse(`${places.length} ${name} for ${n} prompts`)
  const wanted = Array.from({ length: n * each }, (_, i) => places[Math.floor(i / each)] ?? places[0])
  return tf.gather(rows, wanted)
}

// %% ../nbs/25_stable_diffusion.ipynb b14eb188
/** What the U-Net is told: t, and for guidance u. */
function contexts(parts: SDParts, n: number, o: ReturnType<typeof checkedOptions>) {
  const { prompt, promptEmbeds, guidance, numImagesPerPrompt: each } = o
  const t = embedsOf(parts, n, each, 'promptEmbeds', promptEmbeds ?? prompt!)
  if (guidance <= 1) return { t, u: t }
  const { negativePrompt = '', negativePromptEmbeds: not = negativePrompt } = o
  const u = embedsOf(parts, n, each, o.negativePromptEmbeds ? 'negativePromptEmbeds'
    : 'negative prompts', not)
  if (u.shape[1] === t.shape[1]) return { t, u }
  return refuse(`the prompts have ${t.shape[1]} vectors each, the negative ones ${u.shape[1]}`)
}

// %% ../nbs/25_stable_diffusion.ipynb cb2a1492
/** What must be as many as the pictures, or one for all. */
function forAll(x: tf.Tensor, n: number, shape: number[], name: string): tf.Tensor4D {
  const isFit = [1, n].includes(x.shape[0]) && String(x.shape.slice(1)) === String(shape)
  if (!isFit) refuse(`${name} wants the shape [${[n, ...shape]}], got [${x.shape}]`)
  return (x.shape[0] === n ? tf.clone(x) : tf.tile(x, [n, 1, 1, 1])) as tf.Tensor4D
}

// %% ../nbs/25_stable_diffusion.ipynb 39183009
/** The tensors of a run: the noise if it was given, the start and the mask in latents. */
function begun({ vae }: SDParts, n: number, [h, w]: number[], o: GenerateOptions) {
  const { factor, config: { latentChannels: c, inChannels, scalingFactor } } = vae
  const sides = [h * factor, w * factor], found: Record<string, tf.Tensor4D> = {}
  if (o.latents) found.noise = forAll(o.latents, n, [h, w, c], 'latents')
  if (o.init) {
    const x = forAll(fromPictures(o.init, 'init'), n, [...sides, inChannels], 'init')
    const z = tf.split(x, n).map(one => vae.encode(tf.sub(tf.mul(one, 2), 1)).mode())
    found.init = tf.mul(tf.concat(z), scalingFactor)
  }
  if (o.mask) {
    const gray = tf.mean(fromPictures(o.mask, 'mask'), 3, true)
    const x = forAll(gray, n, [...sides, 1], 'mask')
    found.mask = tf.avgPool(x, factor, factor, 'valid')
  }
  return found
}

// %% ../nbs/25_stable_diffusion.ipynb 90e0c5cc
/** Refuses tensors among the options that hold such numbers. */
async function checkFinite(all: object): Promise<void> {
  for (const [name, x] of Object.entries(all)) {
    if (!(x instanceof tf.Tensor)) continue
    const sum = tf.tidy(() => tf.sum(tf.mul(x, 0))), [zero] = await sum.data()
    sum.dispose()
    if (zero !== 0) refuse(`${name} are not finite (NaN or ∞)`)
  }
}

// %% ../nbs/25_stable_diffusion.ipynb aa800d91
/** A run before its first step; `tensors` belong to it. */
function prepared(parts: SDParts, o: ReturnType<typeof checkedOptions>) {
  const { n, seeds } = counted(o), size = latentSize(parts, o), many = seeds.length
  const { scheduler = {} } = o, own = parts.scheduler
  const config = typeof scheduler === 'string' ? schedulerNamed(scheduler, own)
    : scheduler._class_name ? scheduler : { ...own, ...scheduler }
  const { schedule, sampler, ...how } = fromConfig(config), shape = [many, ...size, 4]
  sampler(schedule, { ...how, steps: o.steps }).dispose?.() // refuses what it cannot do
  const tensors = tf.tidy(() => ({ ...begun(parts, many, size, o), ...contexts(parts, n, o) })) as
    Partial<Record<'noise' | 'init' | 'mask', tf.Tensor4D>> & Record<'t' | 'u', tf.Tensor>
  return { schedule, sampler, how, seeds, shape, tensors }
}

// %% ../nbs/25_stable_diffusion.ipynb 9893422e
/** The steps of a run, from noise to latents. */
async function walked(parts: SDParts, run: ReturnType<typeof prepared>,
  o: ReturnType<typeof checkedOptions>): Promise<tf.Tensor4D> {
  const { noise, init, mask, t, u } = run.tensors, { guidance, steps, eta, strength, signal } = o
  const model = cfg(parts.unet, { g: Math.max(guidance, 1), u: { context: u }, t: { context: t } })
  const sampler = mask ? masked(run.sampler, init!, mask) : run.sampler
  const bar = o.progress ? new Progress([], undefined, 'steps') : undefined
  const callback = ({ x: latents, ...rest }: SampleStep) => {
    if (bar) bar.total = rest.steps
    bar?.step()
    const pictures = async () => makers.picture(parts.vae, tf.clone(latents))
    return o.onStep?.({ ...rest, latents, pictures })
  }
  const how = { ...run.how, sampler, steps, eta, init, strength, seed: run.seeds, signal, callback }
  try { return await sample(model, noise ?? run.shape, run.schedule, how) } finally { bar?.finish() }
}

// %% ../nbs/25_stable_diffusion.ipynb 713fad8c
/** What `generate` gives: pictures of the kind that was asked for, and the seed of each. */
export interface Generated<K extends keyof Outputs> { images: Outputs[K], seeds: number[] }

// %% ../nbs/25_stable_diffusion.ipynb d76a2bef
/** Stable Diffusion 1: its parts, and the way through them. */
export class StableDiffusion {
  constructor(public parts: SDParts) {}
  /** From a folder of diffusers, or a file of the original (.safetensors, .ckpt). */
  static async load(path: string, options: OpenOptions = {}): Promise<StableDiffusion> {
    if (!tf.getBackend()) await useBackend()
    return new StableDiffusion(loadParts(path, options))
  }
  /** Pictures from texts: the same ones for the same options and seeds. */
  async generate<K extends keyof Outputs = 'picture'>(
    options: GenerateOptions & { outputType?: K }): Promise<Generated<K>> {
    const o = checkedOptions(options)
    await checkFinite(o)
    const run = prepared(this.parts, o)
    try {
      const z = await walked(this.parts, run, o), make = makers[o.outputType as K]
      return { images: await make(this.parts.vae, z), seeds: run.seeds }
    } finally { tf.dispose(run.tensors) }
  }
  dispose(): void {
    for (const o of Object.values(this.parts)) if (o instanceof Module) o.dispose()
  }
  [inspect.custom](): string {
    const line = ([name, o]: [string, unknown]) => `${name}: ${inspect(o).split('\n')[0]}`
    const { scheduler, ...rest } = this.parts, lines = Object.entries(rest).map(line)
    return ['StableDiffusion', ...lines, `scheduler: ${scheduler._class_name}`].join('\n  ')
  }
}
