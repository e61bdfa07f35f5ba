// How far our networks' answers are from those that diffusers gave for the same weights.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { tf } from 'miniai/engine'
import { softwareCard } from './children'

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

/** What `tests/<name>.ts` says when it is run as a program on a backend. */
export function distances(name: string, backend: string, words: string[] = []): Promise<Far[]> {
  const env = { ...process.env, ...backend === 'webgpu' ? softwareCard : {} }
  const child = spawn(process.execPath, ['-r', './scripts/load.cjs', `tests/${name}.ts`, backend, ...words], { cwd: root, env })
  let out = '', err = ''
  child.stdout.on('data', data => out += data)
  child.stderr.on('data', data => err += data)
  return new Promise((resolve, reject) => child.on('close', code => code !== 0
    ? reject(new Error(`${name}.ts ${backend} ended with ${code}: ${err.slice(-2000)}`))
    : resolve(out.trim().split('\n').map(line => JSON.parse(line)))))
}

/** Whether a backend can be used here, or must be. */
export function isWanted(backend: string): boolean {
  const binding = join(root, 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node')
  const isHere: Record<string, boolean> = { tensorflow: existsSync(binding), wasm: true, webgpu: Boolean(softwareCard) }
  return isHere[backend] || Boolean(process.env.MINIAI_REQUIRE?.split(' ').includes(backend))
}
