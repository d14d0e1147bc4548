// npm `edifact`: its Parser, without the element definitions that it ships: they fit no customs message.
// node drive_edifact.js FOLDER judge FILE TEXT | FOLDER time tokenise ROUNDS FILE
'use strict';
const fs = require('fs');
const path = require('path');

const [folder, mode, ...rest] = process.argv.slice(2);
const Parser = require(path.join(folder, 'node_modules', 'edifact', 'parser.js'));

// It takes text, not octets: the caller must know the encoding, and is assumed to.
const decode = (octets) => octets.toString(octets.includes('UNOY') ? 'utf8' : 'latin1');

// As its own Reader does: segments with their elements, and the level that UNB announces.
function parse(text) {
  const parser = new Parser();
  const segments = [];
  let elements, components, header = false;
  parser.onopensegment = (name) => {
    header = name === 'UNB';
    segments.push({ name, elements: elements = [] });
  };
  parser.onelement = () => elements.push(components = []);
  parser.oncomponent = (value) => {
    if (header) {
      parser.encoding(value);
      header = false;
    }
    components.push(value);
  };
  parser.onclosesegment = () => {};
  parser.write(text);
  parser.end();
  return segments;
}

function judge(file, text) {
  let segments;
  try {
    segments = parse(decode(fs.readFileSync(file)));
  } catch (error) {
    const own = error.constructor === Error;
    return { verdict: own ? 'refused' : 'crash', said: String(error) };
  }
  const values = new Set(segments.flatMap((segment) => segment.elements.flat()));
  return { verdict: 'accepted', said: '', misread: text !== '' && !values.has(text) };
}

function time(what, count, file) {
  const whole = decode(fs.readFileSync(file));
  const texts = file.endsWith('.pile') ? whole.trim().split('\n') : [whole];
  if (what !== 'tokenise') throw new Error(`it has nothing to ${what} with`);
  parse("UNB+UNOC:3+A+B+260101:1200+1'UNH+1+CUSCAR:D:95B:UN'UNT+2+1'UNZ+1+1'");
  const idle = process.resourceUsage().maxRSS;
  const seconds = [];
  for (let round = 0; round < count; round++) {
    const began = process.hrtime.bigint();
    texts.map(parse);
    seconds.push(Number(process.hrtime.bigint() - began) / 1e9);
  }
  return { seconds, memory_kb: process.resourceUsage().maxRSS - idle };
}

const answer = mode === 'judge' ? judge(rest[0], rest[1]) : time(rest[0], Number(rest[1]), rest[2]);
console.log(JSON.stringify(answer));
