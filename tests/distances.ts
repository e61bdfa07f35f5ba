// How far our networks' answers are from those that diffusers gave for the same weights.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { tf, useBackend } from 'miniai/engine'
import { hasTensorflow, isRequired, softwareCard } from './children'

/** How far an answer was at most, and how far it may be. */
export type Far = { name: string, far: number, tolerance: number }
type Tensors = Record<string, tf.Tensor>

const root = join(__dirname, '..')
export const fixtures = join(__dirname, 'fixtures')
export const nhwc = (x: tf.Tensor) => tf.transpose(x, [0, 2, 3, 1])

/** The tensors whose names begin with `prefix`, without it. */
export const under = (all: Tensors, prefix: string): Tensors => Object.fromEntries(Object.entries(all)
  .filter(([name]) => name.startsWith(prefix)).map(([name, x]) => [name.slice(prefix.length), x]))

/** The largest difference between two tensors' numbers. */
export async function distance(a: tf.Tensor, b: tf.Tensor): Promise<number> {
  const [xs, ys] = await Promise.all([a, b].map(o => o.data() as Promise<Float32Array>))
  return xs.reduce((most, x, i) => Math.max(most, Number.isNaN(x) ? Infinity : Math.abs(x - ys[i])), 0)
}

type Cases = () => AsyncGenerator<Far>

/** What `tests/<name>.ts` does as a program: a line of JSON for each case; `few` leaves out `more`. */
export async function tell(cases: Cases, more: Cases): Promise<void> {
  const [, , backend, few] = process.argv
  await useBackend(backend)
  for (const some of few ? [cases] : [cases, more]) {
    for await (const o of some()) console.log(JSON.stringify(o))
  }
}

/** What `tests/<name>.ts` says when it is run as a program on a backend. */
export function distances(name: string, backend: string, words: string[] = []): Promise<Far[]> {
  const env = { ...process.env, ...backend === 'webgpu' ? softwareCard : {} }
  const child = spawn(process.execPath, ['-r', './scripts/load.cjs', `tests/${name}.ts`, backend, ...words], { cwd: root, env })
  let out = '', err = ''
  child.stdout.on('data', data => out += data)
  child.stderr.on('data', data => err += data)
  return new Promise((resolve, reject) => child.on('close', code => {
    const lines = out.trim().split('\n'), odd = lines.find(line => !line.startsWith('{'))
    const wrong = code !== 0 ? `ended with ${code}: ${err.slice(-2000)}` : odd && `says ${odd}`
    if (wrong) reject(new Error(`${name}.ts ${backend} ${wrong}`))
    else resolve(lines.map(line => JSON.parse(line)))
  }))
}

/** Whether a backend can be used here, or must be. */
export function isWanted(backend: string): boolean {
  const isHere: Record<string, boolean> = { tensorflow: hasTensorflow, wasm: true, webgpu: Boolean(softwareCard) }
  return isHere[backend] || isRequired(backend)
}

/** Tests that `tests/<name>.ts` is near enough in `whole` cases, on a card in software, which is slow, in `few`. */
export function sameAsDiffusers(name: string, whole: number, few: number, title: (backend: string, n: number) => string): void {
  for (const [backend, times, n] of [['tensorflow', 1, whole], ['wasm', 5, whole], ['webgpu', 5, few]] as const) {
    it(title(backend, n), async function () {
      this.timeout(600_000)
      if (!isWanted(backend)) return this.skip()
      const all = await distances(name, backend, n < whole ? ['few'] : [])
      assert.equal(all.length, n)
      assert.deepEqual(all.filter(o => !(o.far <= times * o.tolerance)), [])
    })
  }
}
