/** Strict type errors of generated modules, told in the notebook's own lines. */
import { createHash } from 'crypto'
import * as fs from 'fs'
import * as path from 'path'
import * as ts from 'typescript'
import { where } from './cells'
import { Module } from './module'

/** Checks modules; what it learns of the libraries' types serves its next call (for `--watch`). */
export class TypeChecker {
  private program?: ts.Program
  private files = new Map<string, ts.SourceFile>()

  constructor(private root: string, private lib: string) {}

  /** The type errors of `modules`, as they would be in the library's folder: one sentence each. */
  errors(modules: Module[]): string[] {
    const paths = new Map(modules.map(o => [path.join(this.root, this.lib, `${o.name}.ts`), o]))
    const options = this.options()
    const host = this.host(options, new Map([...paths].map(([k, o]) => [k, o.text])))
    this.program = ts.createProgram([...paths.keys()], options, host, this.program)
    const settled = this.program.getConfigFileParsingDiagnostics()
    const found = [...settled, ...[...paths.keys()].flatMap(o => this.problems(o))]
    return [...new Set(found.map(o => sentence(o, paths.get(o.file?.fileName ?? ''))))]
  }

  private problems(file: string) {
    const tree = this.program!.getSourceFile(file)
    return [...this.program!.getSyntacticDiagnostics(tree),
      ...this.program!.getSemanticDiagnostics(tree)]
  }

  private options(): ts.CompilerOptions {
    const file = path.join(this.root, 'tsconfig.json')
    const { config } = ts.readConfigFile(file, ts.sys.readFile)
    const { options } = ts.convertCompilerOptionsFromJson(config?.compilerOptions, this.root, file)
    // the library runs in Node, so a browser's names would be mistakes
    return { lib: ['lib.es2022.d.ts'], ...options, strict: true, noEmit: true, types: ['node'] }
  }

  // the disk, with the new modules in the place of the old; a library's file is parsed once
  private host(options: ts.CompilerOptions, texts: Map<string, string>): ts.CompilerHost {
    const host = ts.createCompilerHost(options), { getSourceFile, fileExists } = host
    const library = path.join(this.root, this.lib)
    host.getCurrentDirectory = () => this.root
    host.directoryExists = folder => folder === library || ts.sys.directoryExists(folder)
    host.fileExists = file => texts.has(file) || fileExists(file)
    host.getSourceFile = (file, ...rest) => {
      const text = texts.get(file)
      if (text !== undefined) return ts.createSourceFile(file, text, ts.ScriptTarget.ES2022)
      const known = this.files.get(file) ?? getSourceFile(file, ...rest)
      if (known && file.includes('node_modules')) this.files.set(file, known)
      return known
    }
    return host
  }
}

/** Changes whenever the outcome of a type check may: modules, libraries, compiler, options. */
export function typeKey(modules: Module[], root: string): string {
  const hash = createHash('sha256').update(ts.version)
  for (const name of ['tsconfig.json', 'package-lock.json']) {
    const file = path.join(root, name)
    if (fs.existsSync(file)) hash.update(fs.readFileSync(file))
  }
  for (const o of modules) hash.update(`${o.name}\n${o.text}`)
  return hash.digest('hex')
}

function sentence(o: ts.Diagnostic, module?: Module) {
  const text = ts.flattenDiagnosticMessageText(o.messageText, '\n  ')
  if (!o.file || o.start == null) return text
  const line = o.file.getLineAndCharacterOfPosition(o.start).line
  const place = module?.lines[line]?.place
  return `${place ? where(place) : `${o.file.fileName}, line ${line + 1}`}: ${text}`
}
