// Every operation of the course, forward and gradient, on every backend: each in a process of its
// own, compared with plain JavaScript, whose gradients are compared with the slope.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { hasTensorflow, isRequired, softwareCard } from './children'
import type { Output, Result } from './ops'

type Run = { backend?: string, missing?: string, results: Map<string, Result> }
const root = join(__dirname, '..')

function start(backend: string, ...words: string[]): Promise<Run> {
  const env = { ...process.env, ...backend === 'webgpu' ? softwareCard : {} }
  const args = ['-r', './scripts/load.cjs', join(__dirname, 'ops.ts'), backend, ...words]
  const child = spawn(process.execPath, args, { cwd: root, env })
  let out = '', err = ''
  child.stdout.on('data', data => out += data)
  child.stderr.on('data', data => err += data)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const how = `ops.ts ${backend} ended with ${signal ?? code}: ${err.slice(-2000)}`
      if (code !== 0) return reject(new Error(how))
      const [head, ...results] = out.trim().split('\n').map(line => JSON.parse(line))
      resolve({ ...head, results: new Map(results.map((r: Result) => [r.name, r])) })
    })
  })
}

let runs: Map<string, Promise<Run>> | undefined

/** The run on `backend`; the first call starts all four. */
function run(backend: string): Promise<Run> {
  runs ??= new Map(['webgpu', 'cpu', 'wasm', 'tensorflow'].map(name =>
    [name, start(name, ...name === 'cpu' ? ['slopes'] : [])]))
  for (const other of runs.values()) other.catch(() => {}) // the test that waits reports it
  return runs.get(backend)!
}

const floats = (o: Output) => new Float32Array(new Uint8Array(Buffer.from(o.data, 'base64')).buffer)

/** The largest difference, relative to the number or the mean size of its tensor, if larger. */
function distance(a: Float32Array, b: Float32Array): number {
  const finite = b.filter(Number.isFinite)
  const scale = finite.reduce((sum, x) => sum + Math.abs(x), 0) / finite.length || 1
  return Math.max(0, ...a.map((x, i) =>
    Object.is(x, b[i]) || x === b[i] ? 0 : Math.abs(x - b[i]) / Math.max(Math.abs(b[i]), scale))
    .map(x => Number.isNaN(x) ? Infinity : x))
}

function differences(ours: Result, theirs: Result, tolerance: number): string[] {
  if (ours.error) return [ours.error]
  const shape = (o: Output) => `${o.dtype} [${o.shape}]`
  return theirs.outputs!.flatMap((expected, i) => {
    const got = ours.outputs![i], what = i ? `gradient ${i}` : 'value'
    if (shape(got) !== shape(expected)) return [`${what}: ${shape(got)} is not ${shape(expected)}`]
    const far = distance(floats(got), floats(expected))
    return far <= tolerance ? [] : [`${what}: ${far.toExponential(1)} relative`]
  })
}

/** WGSL asks only for 2⁻¹¹ here (§15.7.4, Accuracy), and drivers take it. */
const tolerance = (name: string, backend: string) =>
  backend === 'webgpu' && /^(sin|cos|tan) /.test(name) ? 2 ** -11 : 1e-4

/** Whether this machine has what a backend needs, and the sentence to say where it has not. Where
 * it has, or where `MINIAI_REQUIRE` names the backend, it must work. */
const parts: Record<string, [boolean, string]> = {
  tensorflow: [hasTensorflow, 'TensorFlow\'s binding is not built'],
  webgpu: [Boolean(softwareCard), 'no Chromium with its software Vulkan driver is installed'],
  wasm: [true, '']
}

for (const backend of ['wasm', 'tensorflow', 'webgpu']) {
  it(`every operation and gradient on ${backend} equals plain JavaScript's`, async function () {
    this.timeout(180_000)
    const { missing, results } = await run(backend), [isPossible, why] = parts[backend]
    if (missing && !isPossible && !isRequired(backend)) {
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

it('every operation on plain JavaScript has the slope as its gradient', async function () {
  this.timeout(60_000)
  const { results } = await run('cpu')
  assert.ok(results.size > 300)
  const wrong = [...results.values()].filter(r => r.error || (r.slope ?? 0) > 1e-3)
  assert.deepEqual(wrong.map(r => `${r.name}: ${r.error ?? r.slope}`), [])
  assert.ok([...results.values()].filter(r => r.slope !== undefined).length > 250)
})
