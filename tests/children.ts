import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const browsers = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/usr/lib64/chromium-browser',
  '/opt/google/chrome']
const browser = browsers.find(dir => existsSync(join(dir, 'vk_swiftshader_icd.json')))

/** The variables of a process that sees the graphics card in software which Chromium brings. */
export const softwareCard: NodeJS.ProcessEnv | undefined = browser ? {
  VK_ICD_FILENAMES: join(browser, 'vk_swiftshader_icd.json'),
  LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, browser].filter(Boolean).join(':')
} : undefined

const binding = 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node'

/** Whether the native backend is built. */
export const hasTensorflow = existsSync(join(__dirname, '..', binding))

/** Whether `MINIAI_REQUIRE` names `part`: its tests must then run, and fail where it is missing. */
export const isRequired = (part: string): boolean =>
  (process.env.MINIAI_REQUIRE ?? '').split(' ').includes(part)

/** What a program said, and how it ended. */
export interface Ended { out: string, err: string, status: number | null }

/** Run `code` as an async function's body in its own process, with variables and flags of Node. */
export function runChild(code: string, env: NodeJS.ProcessEnv = {}, flags: string[] = []): Ended {
  const names = 'const { tf, useBackend } = require("miniai/engine")'
  const program = `${names}; void (async () => {${code}\n})()`
  const args = [...flags, '-r', './scripts/load.cjs', '-e', program]
  const options = { cwd: join(__dirname, '..'), encoding: 'utf8', timeout: 120_000,
    env: { ...process.env, ...env } } as const
  const { stdout, stderr, status } = spawnSync(process.execPath, args, options)
  return { out: stdout.trim(), err: stderr.trim(), status }
}
