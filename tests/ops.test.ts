// Every operation of the course, forward and gradient, on every backend: each in a process of its own, compared with plain JavaScript,
// whose gradients are compared with the slope.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Output, Result } from './ops'

type Run = { backend?: string, missing?: string, results: Map<string, Result> }
const root = join(__dirname, '..')

/** A Vulkan driver in software that Chromium brings, with the library that loads it. */
const swiftshader = ['/usr/lib/chromium', '/usr/lib64/chromium-browser', '/opt/google/chrome', '/usr/lib/chromium-browser']
  .map(dir => join(dir, 'vk_swiftshader_icd.json')).find(existsSync)

function environment(): NodeJS.ProcessEnv {
  if (!swiftshader || process.env.VK_ICD_FILENAMES) return process.env
  const libraries = [process.env.LD_LIBRARY_PATH, dirname(swiftshader)].filter(Boolean).join(':')
  return { ...process.env, VK_ICD_FILENAMES: swiftshader, LD_LIBRARY_PATH: libraries }
}

function start(backend: string, ...words: string[]): Promise<Run> {
  const env = backend === 'webgpu' ? environment() : process.env
  const args = ['-r', 'ts-node/register/transpile-only', join(__dirname, 'ops.ts'), backend, ...words]
  const child = spawn(process.execPath, args, { cwd: root, env })
  let out = '', err = ''
  child.stdout.on('data', data => out += data)
  child.stderr.on('data', data => err += data)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code !== 0) return reject(new Error(`ops.ts ${backend} ended with ${signal ?? code}: ${err.slice(-2000)}`))
      const [head, ...results] = out.trim().split('\n').map(line => JSON.parse(line))
      resolve({ ...head, results: new Map(results.map((r: Result) => [r.name, r])) })
    })
  })
}

const runs = new Map<string, Promise<Run>>()
const run = (backend: string) => runs.get(backend)!
before(() => {
  for (const backend of ['webgpu', 'cpu', 'wasm', 'tensorflow']) {
    const result = start(backend, ...backend === 'cpu' ? ['slopes'] : [])
    result.catch(() => {}) // the test that waits for it reports it
    runs.set(backend, result)
  }
})

const floats = (o: Output) => new Float32Array(new Uint8Array(Buffer.from(o.data, 'base64')).buffer)

/** The largest difference, relative to the number or to the mean size of its tensor, whichever is larger. */
function distance(a: Float32Array, b: Float32Array): number {
  const finite = b.filter(Number.isFinite), scale = finite.reduce((sum, x) => sum + Math.abs(x), 0) / finite.length || 1
  return Math.max(0, ...a.map((x, i) => Object.is(x, b[i]) || x === b[i] ? 0 : Math.abs(x - b[i]) / Math.max(Math.abs(b[i]), scale))
    .map(x => Number.isNaN(x) ? Infinity : x))
}

function differences(ours: Result, theirs: Result, tolerance: number): string[] {
  if (ours.error) return [ours.error]
  const shape = (o: Output) => `${o.dtype} [${o.shape}]`
  return theirs.outputs!.flatMap((expected, i) => {
    const got = ours.outputs![i], what = i ? `gradient ${i}` : 'value'
    if (shape(got) !== shape(expected)) return [`${what}: expected ${shape(expected)}, got ${shape(got)}`]
    const far = distance(floats(got), floats(expected))
    return far <= tolerance ? [] : [`${what}: ${far.toExponential(1)} relative`]
  })
}

/** WGSL asks only for 2⁻¹¹ here (§15.7.4, Accuracy), and drivers take it. */
const tolerance = (name: string, backend: string) =>
  backend === 'webgpu' && /^(sin|cos|tan) /.test(name) ? 2 ** -11 : 1e-4

/** What makes a backend possible on this machine, and the sentence to say where it is not there. */
const parts: Record<string, [boolean, string]> = {
  tensorflow: [existsSync(join(root, 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node')), 'TensorFlow\'s binding is not built'],
  webgpu: [Boolean(swiftshader), 'no Chromium with its software Vulkan driver is installed'],
  wasm: [true, '']
}

for (const backend of ['wasm', 'tensorflow', 'webgpu']) {
  it(`every operation and its gradient on ${backend} equals plain JavaScript's to 1e-4`, async function () {
    this.timeout(180_000)
    const { missing, results } = await run(backend), [isPossible, why] = parts[backend]
    if (missing && !isPossible && !process.env.CI) {
      console.log(`    not tested on ${backend}: ${why}`)
      return this.skip()
    }
    assert.equal(missing, undefined)
    const expected = (await run('cpu')).results
    assert.deepEqual([...results.keys()], [...expected.keys()])
    const wrong = [...results].flatMap(([name, r]) =>
      differences(r, expected.get(name)!, tolerance(name, backend)).map(text => `${name}: ${text}`))
    assert.deepEqual(wrong, [])
  })
}

it('every operation has a value on plain JavaScript, and its gradient is the slope to 1e-3', async function () {
  this.timeout(60_000)
  const { results } = await run('cpu')
  assert.ok(results.size > 300)
  const wrong = [...results.values()].filter(r => r.error || (r.slope ?? 0) > 1e-3)
  assert.deepEqual(wrong.map(r => `${r.name}: ${r.error ?? r.slope}`), [])
  assert.ok([...results.values()].filter(r => r.slope !== undefined).length > 250)
})
