// Lets Node run the project's TypeScript: `node -r ./scripts/load.cjs file.ts`. Each file is
// stripped of its types once; the result is kept in `.cache/js`, so that a tool starts without the
// compiler.
const { createHash } = require('crypto')
const fs = require('fs')
const { createRequire, enableCompileCache, wrap } = require('module')
const path = require('path')
const vm = require('vm')

const cache = path.join(__dirname, '..', '.cache', 'js'), month = 30 * 24 * 3600e3
const { version } = installed()

enableCompileCache?.(path.join(cache, 'v8'))
require.extensions['.ts'] = (module, file) => {
  process.setSourceMapsEnabled(true)
  module._compile(compiled(file), file)
}

// Node would search the compiler's own 9 MB for a source map: 0.1 s of each start
const loadJs = require.extensions['.js']
require.extensions['.js'] = (module, file) => {
  process.setSourceMapsEnabled(false)
  const isCompiler = file.endsWith('/typescript/lib/typescript.js')
  const load = isCompiler && !enableCompileCache ? loadKept : loadJs
  try { load(module, file) } finally { process.setSourceMapsEnabled(true) }
}

/** Node 20 keeps no compiled code by itself; for the compiler alone that is 0.1 s of each start. */
function loadKept(module, file) {
  const kept = path.join(cache, `typescript-${version}-${process.version}.bin`)
  const cachedData = fs.existsSync(kept) ? fs.readFileSync(kept) : undefined
  const script = new vm.Script(wrap(fs.readFileSync(file, 'utf8')), { filename: file, cachedData })
  script.runInThisContext()(module.exports, createRequire(file), module, file, path.dirname(file))
  if (cachedData && !script.cachedDataRejected) return
  process.on('exit', () => keep(kept, script.createCachedData()))
}

function keep(file, data) {
  fs.mkdirSync(cache, { recursive: true })
  fs.writeFileSync(`${file}.${process.pid}.part`, data)
  fs.renameSync(`${file}.${process.pid}.part`, file)
  if (!process.listeners('exit').includes(prune)) process.on('exit', prune)
}

/** Whoever adds something removes what is old; if it is still wanted, it is made again. */
function prune() {
  const isOld = file => Date.now() - (fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs) > month
  const files = fs.readdirSync(cache, { recursive: true, withFileTypes: true })
    .filter(o => o.isFile()).map(o => path.join(o.parentPath ?? o.path, o.name))
  for (const file of files.filter(isOld)) fs.rmSync(file, { force: true })
}

function installed() {
  try { return require('typescript/package.json') } catch {
    console.error('The packages are not installed yet: run "npm run setup" first.')
    process.exit(1)
  }
}

function compiled(file) {
  const source = fs.readFileSync(file, 'utf8')
  const key = createHash('sha256').update(`${version}\n${file}\n${source}`).digest('hex')
  const kept = path.join(cache, `${key}.js`)
  if (fs.existsSync(kept)) return fs.readFileSync(kept, 'utf8')
  const ts = require('typescript')
  const { outputText } = ts.transpileModule(source, { fileName: file, compilerOptions: {
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, esModuleInterop: true,
    inlineSourceMap: true, inlineSources: true } })
  keep(kept, outputText)
  return outputText
}
