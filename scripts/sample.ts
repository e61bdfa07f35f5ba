/**
 * `npm run sample -- --digit 7 --n 16 --out sevens.png`: digits made by the network of notebook 16.
 *
 * With `--model DIR` it is a prompt's picture by Stable Diffusion: see picture.ts.
 * Here the words of the command line are read and the files written; the digits come from `makeDigits` of the library.
 */
import * as fs from 'fs'
import * as path from 'path'
import type { DigitOptions } from 'miniai/guidance'
import { writeAtomic } from './atomic'
import { command } from './command'
import { paint } from './picture'

const usage = '--digit 7 --n 16 --out digits.png --npy digits.npy --seed 1 --steps 20 --guidance 1.9 --sampler dpmpp2m'
const names = usage.split(' ').filter(o => o.startsWith('--'))

/** What is asked for: a digit for each picture, and the files. */
export interface Wish { digits: number[], out?: string, npy?: string, options: DigitOptions }

/** The values of flags, each as `--name value` or `--name=value`; only --npy may stand alone. */
function flagsOf(words: string[]): Map<string, string> {
  const found = new Map<string, string>()
  for (let i = 0; i < words.length; i++) {
    const [, name, own] = /^(--\w+)(?:=(.*))?$/s.exec(words[i]) ?? [, words[i]]
    if (!names.includes(name!)) throw new Error(`sample: what is "${words[i]}"? Known is, for example, ${usage}`)
    if (found.has(name!)) throw new Error(`sample: ${name} stands there twice`)
    const isAlone = own === undefined && (words[i + 1] ?? '--').startsWith('--')
    if (isAlone && name !== '--npy') throw new Error(`sample: ${name} wants a value, as in ${usage}`)
    found.set(name!, own ?? (isAlone ? '' : words[++i]))
  }
  return found
}

/** Reads the numbers among the flags: `name`, what it is without a word, and from where to where. */
function numbersOf(given: Map<string, string>) {
  return (name: string, usual: number, [least, most]: number[], kind = 'a whole number'): number => {
    const text = given.get(name) ?? String(usual), x = Number(text), isFit = kind === 'a number' || Number.isInteger(x)
    if (text.trim() && x >= least && x <= most && isFit) return x
    throw new Error(`sample: ${name} wants ${kind} from ${least} to ${most}, got "${text}"`)
  }
}

/** The files that are to be written, each with a folder to lie in. */
function filesOf(given: Map<string, string>): Pick<Wish, 'out' | 'npy'> {
  const numbers = given.get('--npy'), out = given.get('--out') ?? (numbers ? undefined : 'digits.png')
  const npy = numbers === '' ? out!.replace(/(\.png)?$/, '.npy') : numbers
  for (const file of [out, npy].filter(o => o !== undefined)) {
    if (!file) throw new Error('sample: --out wants the name of a file')
    const folder = path.dirname(path.resolve(file))
    if (!fs.existsSync(folder)) throw new Error(`sample: there is no folder ${folder} for ${path.basename(file)}`)
  }
  const isTwice = out && npy && path.resolve(out) === path.resolve(npy)
  if (isTwice) throw new Error(`sample: picture and numbers would both be ${out}`)
  return { out, npy }
}

/** The wish behind the words of a command line; one sentence says what is wrong with them. */
export function wishOf(words: string[], samplers: string[]): Wish {
  const given = flagsOf(words), number = numbersOf(given), sampler = given.get('--sampler') ?? 'dpmpp2m'
  if (!samplers.includes(sampler)) throw new Error(`sample: there is no sampler "${sampler}"; there are ${samplers.join(', ')}`)
  const one = given.has('--digit') ? number('--digit', 0, [0, 9]) : undefined
  const n = number('--n', one === undefined ? 100 : 16, [1, 1000])
  const options = { sampler, seed: number('--seed', 1, [0, 2 ** 46]), steps: number('--steps', 20, [1, 1000]),
    g: number('--guidance', 1.9, [-100, 100], 'a number') } as DigitOptions
  return { digits: Array.from({ length: n }, (_, i) => one ?? i % 10), ...filesOf(given), options }
}

/** The bytes of NumPy's file format, version 1.0, for 32-bit floats. */
export function npyBytes(data: Float32Array, shape: number[]): Buffer {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`
  const padded = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n', head = Buffer.from('\x93NUMPY\x01\x00\x00\x00' + padded, 'latin1')
  head.writeUInt16LE(padded.length, 8)
  return Buffer.concat([head, Buffer.from(data.buffer, data.byteOffset, data.byteLength)])
}

async function main(words: string[]): Promise<void> {
  const { samplers } = await import('miniai/samplers')
  const { digits, out, npy, options } = wishOf(words, Object.keys(samplers)), start = performance.now()
  const [{ tf, useBackend }, { showImages }, { loadGuided, makeDigits }] =
    await Promise.all([import('miniai/engine'), import('miniai/plots'), import('miniai/guidance')])
  console.log(String(await useBackend()))
  const shape = [digits.length, 28, 28], data = await (await makeDigits(loadGuided(), digits, options)).data() as Float32Array
  const { 'image/png': png } = showImages({ data, shape }, { cols: Math.ceil(Math.sqrt(digits.length)), scale: 2 })!
  if (out) writeAtomic(out, Buffer.from(png as string, 'base64'))
  if (npy) writeAtomic(npy, npyBytes(data, shape))
  const files = [out, npy].filter(o => o !== undefined).map(o => path.resolve(o)).join(' and ')
  console.log(`${digits.length} digits in ${((performance.now() - start) / 1000).toFixed(1)} s: ${files}`)
}

if (require.main === module) {
  const words = process.argv.splice(2), isPicture = words.some(o => o.startsWith('--model'))
  void command([], () => isPicture ? paint(words) : main(words))
}
