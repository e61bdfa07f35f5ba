/**
 * `npm run sample -- "a prompt" --model DIR --steps 70 --out picture.png`: pictures painted by a Stable Diffusion.
 *
 * Here the words of the command line are read and the files written; the pictures come from `StableDiffusion` of the library.
 */
import * as path from 'path'
import type { GenerateOptions } from 'miniai/stable_diffusion'
import { writeAtomic } from './atomic'

const usage = '"a prompt" --model DIR --out picture.png --steps 50 --guidance 7.5 --seed 1 --n 1 --sampler "Euler a" --negative TEXT --height 512 --width 512'
const names = usage.match(/--\w+/g)!

/** What is asked for: a model, a file, and the options for `generate`. */
export interface PictureWish { model: string, out: string, options: GenerateOptions }

/** The wish behind the words of a command line; one sentence says what is wrong with them. */
export function pictureWishOf(words: string[]): PictureWish {
  const found: Record<string, string> = {}, prompts: string[] = []
  for (let i = 0; i < words.length; i++) {
    const [, name, own] = /^(--\w+)(?:=(.*))?$/s.exec(words[i]) ?? []
    if (!name) prompts.push(words[i])
    else if (!names.includes(name)) throw new Error(`sample: what is "${words[i]}"? Known is ${usage}`)
    else if (name in found) throw new Error(`sample: ${name} stands there twice`)
    else found[name] = own ?? words[++i] ?? ''
    if (name && !found[name]) throw new Error(`sample: ${name} wants a value, as in ${usage}`)
  }
  if (prompts.length !== 1) throw new Error(`sample: wanted one prompt in quotes, as in ${usage}, got ${prompts.length}`)
  const number = (name: string): number | undefined => {
    const text = found[name], x = Number(text)
    if (text === undefined || text.trim() && Number.isFinite(x)) return text === undefined ? undefined : x
    throw new Error(`sample: ${name} wants a number, got "${text}"`)
  }
  const [steps, guidance, seed, n, height, width] = ['--steps', '--guidance', '--seed', '--n', '--height', '--width'].map(number)
  return { model: found['--model'], out: found['--out'] ?? 'picture.png', options: { prompt: prompts[0], steps, guidance, seed,
    height, width, numImagesPerPrompt: n, scheduler: found['--sampler'], negativePrompt: found['--negative'] } }
}

/** The name of picture i of n: `a.png`, or `a-2.png` where there are more. */
export function fileOf(out: string, i: number, n: number): string {
  const { dir, name, ext } = path.parse(out)
  return n > 1 ? path.join(dir, `${name}-${i + 1}${ext}`) : out
}

/** Paints what the words ask for. */
export async function paint(words: string[]): Promise<void> {
  const { model, out, options } = pictureWishOf(words), start = performance.now()
  const [{ useBackend }, { StableDiffusion }] = await Promise.all([import('miniai/engine'), import('miniai/stable_diffusion')])
  console.log(String(await useBackend()))
  const sd = await StableDiffusion.load(model), loaded = performance.now()
  const { images, seeds } = await sd.generate({ ...options, outputType: 'png' }), seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
  for (const [i, bytes] of images.entries()) {
    const file = fileOf(out, i, images.length)
    writeAtomic(file, bytes)
    console.log(`${path.resolve(file)}: seed ${seeds[i]}`)
  }
  console.log(`loaded in ${seconds(loaded - start)}, painted in ${seconds(performance.now() - loaded)}`)
}
