// The painted mask: a canvas of the photo's size. What is painted is opaque, all else transparent.

const COLOUR = "#e01b24";

export class Mask {
  constructor(canvas) {
    this.canvas = canvas;
  }

  /** Forget the painting and take the size of a photo. */
  reset(width, height) {
    Object.assign(this.canvas, { width, height });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  /** Paint or erase a line between two points, in pixels of the photo. */
  stroke(from, to, width, erase) {
    const pen = this.context;
    pen.globalCompositeOperation = erase ? "destination-out" : "source-over";
    Object.assign(pen, { strokeStyle: COLOUR, lineWidth: width, lineCap: "round" });
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x, to.y);
    pen.stroke();
  }

  clear() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  get empty() {
    const { width, height } = this.canvas;
    for (let top = 0; top < height; top += 256) {
      const rows = this.context.getImageData(0, top, width, Math.min(256, height - top)).data;
      for (let i = 3; i < rows.length; i += 4) if (rows[i] > 127) return false;
    }
    return true;
  }

  /** A PNG file, white where it is painted and black elsewhere. */
  async file() {
    const copy = new OffscreenCanvas(this.canvas.width, this.canvas.height), pen = copy.getContext("2d");
    pen.drawImage(this.canvas, 0, 0);
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = "white";
    pen.fillRect(0, 0, copy.width, copy.height);
    pen.globalCompositeOperation = "destination-over";
    pen.fillStyle = "black";
    pen.fillRect(0, 0, copy.width, copy.height);
    return copy.convertToBlob({ type: "image/png" });
  }

  /** Replace the painting by a file: what is lighter than medium gray is painted. */
  async load(file) {
    const { width, height } = this.canvas;
    const image = await createImageBitmap(file).catch(() => {
      throw new Error(`${file.name} is damaged or not an image.`);
    });
    if (image.width !== width || image.height !== height) {
      const sizes = `${image.width} × ${image.height} pixels, and the photo ${width} × ${height}`;
      throw new Error(`The mask has ${sizes}.`);
    }
    const pen = this.context;
    pen.globalCompositeOperation = "copy";
    pen.drawImage(image, 0, 0);
    const [red, green, blue] = [1, 3, 5].map((i) => parseInt(COLOUR.slice(i, i + 2), 16));
    for (let top = 0; top < height; top += 256) {
      const rows = pen.getImageData(0, top, width, Math.min(256, height - top)), data = rows.data;
      for (let i = 0; i < data.length; i += 4) {
        const light = data[i + 3] * (data[i] + data[i + 1] + data[i + 2]) > 127.5 * 3 * 255;
        data.set(light ? [red, green, blue, 255] : [0, 0, 0, 0], i);
      }
      pen.putImageData(rows, 0, top);
    }
  }
}
