// The JavaScript engine of this component has no TextDecoder and no TextEncoder.

export function decodeUtf8(bytes) {
  let hex = "";
  // Pieces keep the intermediate strings small.
  const parts = [];
  for (const byte of bytes) {
    hex += "%" + byte.toString(16).padStart(2, "0");
    if (hex.length >= 12288) {
      parts.push(hex);
      hex = "";
    }
  }
  parts.push(hex);
  // Refuses what is not UTF-8.
  return decodeURIComponent(parts.join(""));
}

export function encodeUtf8(text) {
  const bytes = [];
  for (const character of text) {
    const point = character.codePointAt(0);
    if (point < 0x80) {
      bytes.push(point);
    } else if (point < 0x800) {
      bytes.push(0xc0 | (point >> 6), 0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
      // Half of a pair is no character: it becomes the replacement character.
      const whole = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
      bytes.push(0xe0 | (whole >> 12), 0x80 | ((whole >> 6) & 0x3f), 0x80 | (whole & 0x3f));
    } else {
      bytes.push(
        0xf0 | (point >> 18),
        0x80 | ((point >> 12) & 0x3f),
        0x80 | ((point >> 6) & 0x3f),
        0x80 | (point & 0x3f),
      );
    }
  }
  return new Uint8Array(bytes);
}
