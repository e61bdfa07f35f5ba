import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { noisify } from 'miniai/ddpm'
import { tf, useBackend } from 'miniai/engine'
import { getState, randn, seed } from 'miniai/random'
import { Model, SampleOptions, euler, fromConfig, linearSchedule, sample, samplers } from 'miniai/samplers'
import { Module } from 'miniai/training'
import { runChild, softwareCard } from './children'

type Case = { name: string, config: Record<string, unknown>, steps: number, eta: number,
  timesteps: number[], start: number, sigmas?: number[], final: number[] }
const fixture = (name: string) => JSON.parse(readFileSync(join(__dirname, 'fixtures', `${name}.json`), 'utf8'))
const { latents, noises, cases }: { latents: number[], noises: number[][], cases: Case[] } = fixture('schedulers')

before(() => useBackend())

// the model of fixtures/schedulers.py: 0.9 tanh(0.8 x) cos(t / 700) + 0.2 sin(0.37 i + t / 150)
const shape: [number, number, number, number] = [1, 2, 3, 4]
const tanhModel: Model = (x, t) => {
  const at = t.dataSync()[0], i = tf.tensor4d(latents.map((_, i) => 0.2 * Math.sin(0.37 * i + at / 150)), shape)
  return x.mul(0.8).tanh().mul(0.9 * Math.cos(at / 700)).add(i)
}
const close = (a: ArrayLike<number>, b: number[], eps: number) => {
  assert.equal(a.length, b.length)
  b.forEach((y, i) => assert.ok(Math.abs(a[i] - y) <= eps * Math.max(1, Math.abs(y)), `[${i}]: ${a[i]} for ${y}`))
}

cases.forEach(({ name, config, steps, eta, timesteps, start, sigmas, final }, i) => {
  it(`case ${i}, ${name} of diffusers: timesteps, sigmas and result are its own`, async () => {
    const { schedule, sampler, ...rest } = fromConfig({ ...config, _class_name: `${name}Scheduler` })
    const options = { ...rest, steps, eta }, o = sampler(schedule, options)
    o.timesteps.forEach((t, i) => assert.ok(Math.abs(t - timesteps[i]) < 6e-4, `${t} for ${timesteps[i]}`))
    close([o.initSigma], [start], 1e-5)
    if (sigmas) close(o.sigmas!, sigmas, 5e-5)
    const noise = (k: number) => tf.tensor4d(noises[k], shape)
    const x = await sample(tanhModel, tf.tensor4d(latents, shape), schedule, { ...options, sampler, noise })
    close(x.dataSync(), final, 1e-4)
  })
})

// Stable Diffusion's schedule under six classes of diffusers; the model, `linear`, is written down in the file
type Told = { name: string, scheduler: Record<string, unknown>, num_inference_steps: number, eta: number, timesteps: number[],
  sigmas?: number[], init_noise_sigma: number, scales_model_input: boolean, linear: { final: number[], tight: number } }
const { latents: start, cases: told }: { latents: number[], cases: Told[] } = fixture('scheduler_cases')
for (const { name, scheduler, num_inference_steps: steps, eta, ...want } of told) {
  it(`${name} from its scheduler_config.json, ${steps} steps: timesteps, sigmas and result are diffusers' own`, async () => {
    const { schedule, sampler, ...rest } = fromConfig(scheduler), options = { ...rest, steps, eta }, o = sampler(schedule, options)
    close(o.timesteps, want.timesteps, 1e-6)
    close([o.initSigma], [want.init_noise_sigma], 1e-5)
    if (want.sigmas) close(o.sigmas!, want.sigmas, 1e-5)
    const seen: tf.Tensor = o.scale(tf.ones([1]), 0), isScaled = seen.dataSync()[0] !== 1
    assert.equal(isScaled, want.scales_model_input)
    const linear: Model = (x, t) => {
      const at = t.dataSync()[0], bias = tf.tensor4d(start.map((_, i) => 0.05 * Math.cos(i)), [1, 4, 4, 4])
      return tf.add(tf.mul(x, 0.1 * Math.sin(at / 100)), bias)
    }
    const x = await sample(linear, tf.tensor4d(start, [1, 4, 4, 4]), schedule, { ...options, sampler })
    const far = (x.dataSync() as Float32Array).reduce((most, v, i) => Math.max(most, Math.abs(v - want.linear.final[i])), 0)
    assert.ok(far <= want.linear.tight, `${far} is more than ${want.linear.tight}`)
  })
}

// Sums and means of |x| that diffusers' own tests publish (tests/schedulers/test_scheduler_*.py): ten steps from
// a ramp with the model x t / (t + 1). Their loop goes on with the scaled x, and ours here must do the same.
const own = { beta_start: 0.0001, beta_end: 0.02, beta_schedule: 'linear' }
const long = { ...own, num_train_timesteps: 1100 }, bend = { use_karras_sigmas: true }, v = { prediction_type: 'v_prediction' }
const solver = { ...own, lower_order_final: false, final_sigmas_type: 'sigma_min' }
const published: [string, Record<string, unknown>, number | undefined, number, number?][] = [
  ['DDIM', own, 172.0067, 0.223967],
  ['DDIM', { ...own, ...v }, 52.5302, 0.0684],
  ['DDIM', { ...own, set_alpha_to_one: true, beta_start: 0.01 }, 149.8295, 0.1951],
  ['DDIM', { ...own, set_alpha_to_one: false, beta_start: 0.01 }, 149.0784, 0.1941],
  ['PNDM', own, 198.1318, 0.2580],
  ['PNDM', { ...own, ...v }, 67.3986, 0.0878],
  ['PNDM', { ...own, set_alpha_to_one: true, beta_start: 0.01 }, 230.0399, 0.2995],
  ['PNDM', { ...own, set_alpha_to_one: false, beta_start: 0.01 }, 186.9482, 0.2434],
  ['LMSDiscrete', long, 1006.388, 1.31],
  ['LMSDiscrete', { ...long, ...v }, 0.0017, 2.2676e-6],
  ['LMSDiscrete', { ...long, ...bend }, 3812.9927, 4.9648, 2e-2],
  ['EulerDiscrete', long, 10.0807, 0.0131],
  ['EulerDiscrete', { ...long, ...v }, 0.0002, 2.2676e-6],
  ['EulerDiscrete', { ...long, ...bend }, 124.522995, 0.162139],
  ['HeunDiscrete', long, 0.1233, 0.0002],
  ['HeunDiscrete', { ...long, ...v }, 4.6934e-7, 6.1112e-10],
  ['HeunDiscrete', { ...long, ...bend }, 0.00015, 1.9869e-7],
  ['DPMSolverMultistep', solver, undefined, 0.3301],
  ['DPMSolverMultistep', { ...solver, ...v }, undefined, 0.2251],
  ['DPMSolverMultistep', { ...solver, ...v, ...bend }, undefined, 0.2096],
  ['UniPCMultistep', { ...own, final_sigmas_type: 'sigma_min' }, undefined, 0.2464],
  ['UniPCMultistep', { ...own, final_sigmas_type: 'sigma_min', ...bend }, undefined, 0.2925],
  ['UniPCMultistep', { ...own, final_sigmas_type: 'sigma_min', ...v }, undefined, 0.1014],
  ['UniPCMultistep', { ...own, final_sigmas_type: 'sigma_min', ...v, ...bend }, undefined, 0.1966],
]

/** 768 / 768 in steps, [3, 8, 8, 4] with its last axis moved to the front, as diffusers' tests begin. */
const ramp = () => tf.tidy(() => tf.range(0, 768).div(768).reshape([3, 8, 8, 4]).transpose([3, 0, 1, 2]))

/** diffusers' loop from step number `first` on; sum of |x| at its end. */
function sumOf(name: string, config: Record<string, unknown>, first = 0): number {
  return tf.tidy(() => {
    const { schedule, sampler, ...options } = fromConfig({ ...config, _class_name: `${name}Scheduler` })
    const o = sampler(schedule, { ...options, steps: 10 }), start = first * o.order
    let x = ramp().mul(o.initSigma), past = {}
    if (first) x = o.noised(x, tf.sub((767) / 768, ramp()), start)
    o.timesteps.slice(start).forEach((t, calls) => {
      const i = start + calls, seen = o.scale(x, i)
      const next = o.step(seen.mul(t / (t + 1)), seen, { i, calls, past, noise: () => x })
      x = next.x
      past = next.past ?? {}
    })
    return x.abs().sum().dataSync()[0]
  })
}

published.forEach(([name, config, sum, mean, tol = 1e-2]) => {
  it(`${name} ${JSON.stringify(config)}: the sum and mean that diffusers publishes`, () => {
    const total = sumOf(name, config)
    if (sum !== undefined) assert.ok(Math.abs(total - sum) < tol, `${total} for ${sum}`)
    assert.ok(Math.abs(total / 768 - mean) < 1e-3, `${total / 768} for ${mean}`)
  })
})

// the same from a picture with noise on it, beginning at a later step (test_full_loop_with_noise)
const fromPicture: [string, Record<string, unknown>, number, number][] = [
  ['DDIM', own, 8, 354.5418],
  ['LMSDiscrete', long, 8, 27663.6895],
  ['EulerDiscrete', long, 8, 57062.9297],
  ['HeunDiscrete', long, 8, 75074.8906],
  ['DPMSolverMultistep', solver, 5, 318.4111],
  ['UniPCMultistep', { ...own, final_sigmas_type: 'sigma_min' }, 8, 315.5757],
]
for (const [name, config, first, sum] of fromPicture) {
  it(`${name} from step ${first} of 10 on a noisy picture: the sum that diffusers publishes`, () => {
    const total = sumOf(name, config, first)
    assert.ok(Math.abs(total - sum) < 1e-2 * Math.max(1, sum / 1000), `${total} for ${sum}`)
  })
}

type Noised = { config: Record<string, unknown>, steps: number | null, timesteps: number[], out: number[] }
const { shape: three, x0, noise: eps, cases: noised }: { shape: typeof shape, x0: number[], noise: number[], cases: Noised[] } =
  fixture('noised')

/** Pictures with noise, each at its own timestep: of the schedule itself, or of a sampler's `steps`. */
function noisedAt({ config, steps, timesteps }: Noised): tf.Tensor {
  const { schedule, sampler, ...options } = fromConfig(config), [pictures, noises] = [x0, eps].map(o => tf.tensor4d(o, three))
  const abars = tf.tensor4d(timesteps.map(t => schedule.abar[t]), [3, 1, 1, 1])
  if (!steps) return noisify(pictures, noises, abars)
  const o = sampler(schedule, { ...options, steps }), item = (x: tf.Tensor, i: number) => tf.slice(x, [i, 0, 0, 0], [1, -1, -1, -1])
  return tf.concat(timesteps.map((t, i) => o.noised(item(pictures, i), item(noises, i), o.timesteps.indexOf(t))))
}
for (const o of noised) {
  it(`noise on pictures at ${o.timesteps} of ${o.config._class_name}: what diffusers' add_noise gives`, () =>
    close(tf.tidy(() => noisedAt(o).dataSync()), o.out, 1e-5))
}

const steps = 5, four: [number, number, number, number] = [2, 4, 4, 1]
const half: Model = (x, t) => x.mul(0.5)
const noise = () => tf.tidy(() => randn(four) as tf.Tensor4D)
const run = (options: Partial<SampleOptions>, model: Model = half, x: tf.Tensor4D | number[] = four) =>
  sample(model, x, linearSchedule(), { steps, ...options })

for (const bad of [0, -1, 2.5, 1001, NaN]) {
  it(`sample with ${bad} steps is refused`, () =>
    assert.rejects(run({ steps: bad }), new RegExp(`wanted 1 to 1000 whole steps, got ${bad}`)))
}

it('sample with an unknown sampler names those there are', () =>
  assert.rejects(run({ sampler: 'eular' as 'euler' }), /no sampler "eular"; there are ddpm, ddim, pndm, euler/))

it('sample refuses noise that is not [n, h, w, c]', () =>
  assert.rejects(run({}, half, [28, 28]), /wanted noise \[n, h, w, c\], got \[28,28\]/))

it('sample refuses an answer of another shape', () =>
  assert.rejects(run({}, x => x.slice([0, 0, 0, 0], [1, 4, 4, 1])), /answers \[1,4,4,1\] to \[2,4,4,1\]/))

it('sample says at which timestep the model became NaN, and leaves nothing behind', async () => {
  const before = tf.memory().numTensors
  await assert.rejects(run({ sampler: 'lms' }, (x, t) => t.dataSync()[0] < 400 ? x.mul(NaN) : x.mul(0.5)),
    /answer at timestep 249.75 is not finite/)
  assert.equal(tf.memory().numTensors, before)
})

it('sample refuses a strength of 1.5 and a picture of another shape', async () => {
  const init = tf.zeros(four) as tf.Tensor4D
  await assert.rejects(run({ init, strength: 1.5 }), /strength of 0 to 1, got 1.5/)
  await assert.rejects(run({ init }, half, [1, 4, 4, 1]), /the picture is \[2,4,4,1\], the noise \[1,4,4,1\]/)
})

const wrong: [string, Partial<SampleOptions>, RegExp][] = [
  ["spacing 'traling'", { spacing: 'traling' as never }, /^sample: wanted as spacing leading or linspace or trailing, got traling$/],
  ["sigmas 'kerras'", { sampler: 'euler', sigmas: 'kerras' as never }, /^sample: wanted as sigmas trained or karras or exponential, got kerras$/],
  ["finalSigma 'none'", { sampler: 'euler', finalSigma: 'none' as never }, /^sample: wanted as finalSigma zero or min, got none$/],
  ["variance 'big'", { sampler: 'ddpm', variance: 'big' as never }, /^sample: wanted as variance small or large, got big$/],
  ["solverType 'mid'", { sampler: 'dpmpp2m', solverType: 'mid' as never }, /^sample: wanted as solverType .*, got mid$/],
  ['offset −1', { offset: -1 }, /^sample: wanted as offset a whole number ≥ 0, got -1$/],
  ['offset 500', { offset: 500 }, /^sample: offset 500 leads to timestep 1300 of 1000$/],
  ['an order of 0 (unipc)', { sampler: 'unipc', order: 0 }, /^sample: wanted as order a whole number ≥ 1, got 0$/],
  ['an order of 2.5 (lms)', { sampler: 'lms', order: 2.5 }, /^sample: wanted as order a whole number ≥ 1, got 2\.5$/],
  ['an order of 5 (lms)', { sampler: 'lms', order: 5 }, /^lms: wanted an order of 1 to 4, got 5$/],
  ['an order of 3 (dpmpp2m)', { sampler: 'dpmpp2m', order: 3 }, /^dpmpp2m: wanted order 1 or 2, got 3$/],
  ['eta 5', { eta: 5 }, /^sample: wanted as eta 0 to 1, got 5$/],
  ['eta −1', { eta: -1 }, /^sample: wanted as eta 0 to 1, got -1$/],
  ['eta NaN', { eta: NaN }, /^sample: wanted as eta 0 to 1, got NaN$/],
  ['clip −1', { clip: -1 }, /^sample: wanted as clip a number > 0, got -1$/],
  ['as many steps as timesteps, leading (dpmpp2m)', { sampler: 'dpmpp2m', spacing: 'leading', steps: 1000 },
    /^sample: wanted 1 to 999 whole steps, got 1000$/],
  ['as many steps as timesteps, leading (unipc)', { sampler: 'unipc', spacing: 'leading', steps: 1000 },
    /^sample: wanted 1 to 999 whole steps, got 1000$/],
  ["sampler 'constructor'", { sampler: 'constructor' as never }, /^sample: there is no sampler "constructor"; there are ddpm/],
]
for (const [what, options, message] of wrong) {
  it(`sample with ${what} is refused in one sentence`, () => assert.rejects(run(options), { message }))
}

it('sample without options says which steps are wanted', () =>
  assert.rejects(sample(half, four, linearSchedule()), { message: 'sample: wanted 1 to 1000 whole steps, got undefined' }))

it('a picture without a strength is kept as at strength 0.8', async () => {
  const init = tf.ones(four) as tf.Tensor4D, x = noise()
  const [a, b] = [await run({ init }, half, x), await run({ init, strength: 0.8 }, half, x)]
  assert.deepEqual(a.dataSync(), b.dataSync())
  assert.notDeepEqual(a.dataSync(), (await run({}, half, x)).dataSync())
})

const unheard: [string, unknown][] = [['lambda_min_clipped', -5], ['disable_corrector', [0]], ['solver_p', {}], ['sigma_min', 0.1],
  ['sigma_max', 10], ['use_beta_sigmas', true], ['algorithm_type', 'sde-dpmsolver++'], ['timestep_type', 'continuous']]
for (const [key, value] of unheard) {
  it(`fromConfig refuses ${key} ${JSON.stringify(value)}`, () =>
    assert.throws(() => fromConfig({ _class_name: 'UniPCMultistepScheduler', [key]: value }), new RegExp(`${key} .* is not known here`)))
}

it('fromConfig refuses what it does not have', () => {
  assert.throws(() => fromConfig({ _class_name: 'constructor' }), /no class "constructor" here; there are DDPM/)
  assert.throws(() => fromConfig({ _class_name: 'DEISMultistepScheduler' }), /no class "DEISMultistep"/)
  assert.throws(() => fromConfig({ _class_name: 'DDIMScheduler', thresholding: true }), /thresholding true is not known/)
  assert.throws(() => fromConfig({}), /no class "undefined"/)
})

for (const name of Object.keys(samplers) as (keyof typeof samplers)[]) {
  it(`${name} gives the same pictures for the same seed, others for another, and leaves nothing behind`, async () => {
    const before = tf.memory().numTensors
    const [a, b, c] = [await run({ sampler: name, seed: 1 }), await run({ sampler: name, seed: 1 }),
      await run({ sampler: name, seed: 2 })]
    assert.deepEqual(a.dataSync(), b.dataSync())
    assert.notDeepEqual(a.dataSync(), c.dataSync())
    tf.dispose([a, b, c])
    assert.equal(tf.memory().numTensors, before)
  })

  it(`${name}: an item with its own seed is the same in any batch`, async () => {
    const both = await run({ sampler: name, seed: [3, 4] }), alone = await run({ sampler: name, seed: [4] }, half, [1, 4, 4, 1])
    assert.deepEqual(both.dataSync().slice(16), alone.dataSync())
  })

  it(`${name}: a callback that only looks changes nothing, and sees every call`, async () => {
    const seen: number[] = [], one = noise()
    const plain = await run({ sampler: name, seed: 5 }, half, one)
    const x = await run({ sampler: name, seed: 5, callback: ({ step, x0 }) => { seen.push(step + x0.size * 0) } }, half, one)
    assert.deepEqual(x.dataSync(), plain.dataSync())
    assert.deepEqual(seen, [...seen.keys()])
    assert.ok(seen.length >= steps)
  })
}

it('a callback that returns false ends the run with what there is', async () => {
  let last: Float32Array | undefined, calls = 0
  const x = await run({ sampler: euler, callback: ({ step, x }) => {
    last = x.dataSync().slice() as Float32Array
    return step < 2
  } }, x => (calls++, x.mul(0.5)))
  assert.equal(calls, 3)
  assert.deepEqual(x.dataSync(), last)
})

it('an AbortSignal ends a run in the middle', async () => {
  const stop = new AbortController(), before = tf.memory().numTensors
  let calls = 0
  const going = run({ signal: stop.signal, steps: 50 }, x => {
    if (++calls === 3) stop.abort(new Error('enough'))
    return x.mul(0.5)
  })
  await assert.rejects(going, /enough/)
  assert.equal(calls, 3)
  assert.equal(tf.memory().numTensors, before)
})

it('guidance wraps the model', async () => {
  const [a, b] = [await run({ seed: 1, guidance: f => (x, t) => f(x, t).mul(0.5) }), await run({ seed: 1 }, x => x.mul(0.25))]
  assert.deepEqual(a.dataSync(), b.dataSync())
})

it('a seed leaves the common generator alone', async () => {
  seed(9)
  const state = getState()
  await run({ sampler: 'ddpm', seed: 1 })
  assert.deepEqual(getState(), state)
})

it('strength 1 is a run without a picture; strength 0 gives the picture; between, noise of that step is laid on', async () => {
  const init = tf.ones(four) as tf.Tensor4D, x = noise(), asked: number[] = []
  const full = await run({ init, strength: 1, sampler: 'lms' }, half, x), plain = await run({ sampler: 'lms' }, half, x)
  assert.deepEqual(full.dataSync(), plain.dataSync())
  assert.deepEqual((await run({ init, strength: 0 }, half, x)).dataSync(), init.dataSync())
  await run({ init, strength: 0.6, sampler: 'euler', steps: 10 }, (x, t) => (asked.push(t.dataSync()[0]), x.mul(0.5)), x)
  assert.deepEqual(asked, [555, 444, 333, 222, 111, 0])
})

it('a Module is compiled once and answers as it is', async () => {
  class Scale extends Module {
    weight = tf.variable(tf.scalar(0.5))
    forward(x: tf.Tensor): tf.Tensor { return tf.mul(x, this.weight) }
  }
  const model = new Scale(), x = noise()
  const [a, b] = [await sample(model, x, linearSchedule(), { steps }), await run({}, half, x)]
  assert.deepEqual(a.dataSync(), b.dataSync())
  model.weight.assign(tf.scalar(0.25))
  const c = await sample(model, x, linearSchedule(), { steps })
  assert.deepEqual(c.dataSync(), (await run({}, x => x.mul(0.25), x)).dataSync())
})

const everywhere = `await useBackend()
  const { sample, samplers, scaledLinearSchedule } = require('miniai/samplers'), all = []
  for (const sampler of Object.values(samplers)) {
    const model = (x, t) => tf.tanh(tf.mul(x, 0.8))
    const x = await sample(model, [2, 4, 4, 1], scaledLinearSchedule(), { sampler, steps: 10, seed: [1, 2] })
    all.push(...await x.data())
  }
  console.log(JSON.stringify(all))`

it('the same seed gives the same pictures on tensorflow, wasm and webgpu, within 1e-3', function () {
  this.timeout(120_000)
  const on = (backend: string, env: NodeJS.ProcessEnv = {}): number[] =>
    JSON.parse(runChild(everywhere, { ...env, MINIAI_BACKEND: backend }).out)
  const want = on('wasm'), others = tf.getBackend() === 'tensorflow' ? [on('tensorflow')] : []
  if (softwareCard) others.push(on('webgpu', softwareCard))
  assert.equal(want.length, 9 * 32)
  for (const got of others) close(got, want, 1e-3)
})
