/** Strict type errors of modules that are not yet written, told in the notebooks' own lines. */
import { spawnSync } from 'child_process'
import * as fs from 'fs'
import * as path from 'path'
import { sweep } from './atomic'
import { Module } from './module'
import { where } from './place'

/** The type errors of `modules` beside `others` (file → text) of the library, a sentence each. */
export function typeErrors(modules: Module[],
  { root, others }: { root: string, others: Map<string, string> }): string[] {
  const cache = path.join(root, '.cache'), folder = path.join(cache, `.types.${process.pid}.part`)
  fs.mkdirSync(folder, { recursive: true })
  sweep(cache)
  const options = { extends: '../../tsconfig.json', include: ['*.ts'],
    // the library runs in Node, so a browser's names would be mistakes
    compilerOptions: { strict: true, noEmit: true, lib: ['es2022'], types: ['node'] } }
  try {
    fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(options))
    const texts = new Map([...others, ...modules.map(o => [`${o.name}.ts`, o.text] as const)])
    for (const [file, text] of texts) fs.writeFileSync(path.join(folder, file), text)
    const compiler = path.join(__dirname, '../node_modules/typescript-native/bin/tsc')
    const { stdout, stderr, status } = spawnSync(process.execPath,
      [compiler, '--project', folder, '--pretty', 'false'], { cwd: folder, encoding: 'utf8' })
    const found = sentences(stdout, new Map(modules.map(o => [`${o.name}.ts`, o])))
    return status !== 0 && !stdout ? [`the type check failed: ${stderr}`] : found
  } finally { fs.rmSync(folder, { recursive: true, force: true }) }
}

// the compiler says "file.ts(line,column): error TS1: message"; what follows indented belongs to it
function sentences(output: string, modules: Map<string, Module>) {
  const found = output.split(/\r?\n(?! )/).filter(Boolean).flatMap(text => {
    const [, file, line, message] = /^(.*?)\((\d+),\d+\): error TS\d+: ([^]*)/.exec(text) ?? []
    const place = modules.get(file)?.lines[Number(line) - 1]?.place
    if (place) return [`${where(place)}: ${message}`]
    return file?.endsWith('.ts') && !modules.has(file) ? [] : [text]
  })
  return [...new Set(found)]
}
