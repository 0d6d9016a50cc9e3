// Operations that pass over memory once where burn's would pass many times. Compiled once with bfloat16 for VALUE and once with float; between reading
// and writing all is float, and sums are taken in a fixed order.

#include <cuda_bf16.h>

// Lower than any number that is asked for.
#define LOWEST (-3.0e38f)

// Threads of a block, but for the kernels of attention.
#define THREADS 256

// What a thread reads and writes at once: 16 bytes.
#define AT_ONCE ((int)(16 / sizeof(VALUE)))
struct alignas(16) Pack {
  VALUE values[AT_ONCE];
};

__device__ float widen(float value) {
  return value;
}

__device__ float widen(__nv_bfloat16 value) {
  return __bfloat162float(value);
}

__device__ void put(float& to, float value) {
  to = value;
}

__device__ void put(__nv_bfloat16& to, float value) {
  to = __float2bfloat16(value);
}

__device__ float warp_sum(float value) {
  for (int lane = 16; lane > 0; lane /= 2) value += __shfl_xor_sync(0xffffffffu, value, lane);
  return value;
}

__device__ float warp_max(float value) {
  for (int lane = 16; lane > 0; lane /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, lane));
  return value;
}

// The sum over a block of THREADS, for each of its threads.
__device__ float block_sum(float value) {
  __shared__ float parts[THREADS / 32];
  value = warp_sum(value);
  __syncthreads();
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0.0f;
  for (int part = 0; part < THREADS / 32; part++) sum += parts[part];
  return sum;
}

// A line of scores as the softmax is taken of it: scaled, bounded softly by `cap` where that is not 0, and masked.
__device__ float score(VALUE raw, float hidden, float scale, float cap) {
  float value = widen(raw) * scale;
  if (cap != 0.0f) value = tanhf(value / cap) * cap;
  return value + hidden;
}

// The line of the mask, [masks, width, total], that belongs to a line of scores, [rows, heads, width, total].
__device__ const float* mask_of(const float* mask, int line, int masks, int heads, int width, int total) {
  int row = masks == 1 ? 0 : line / (heads * width);
  return mask + ((long long)row * width + line % width) * total;
}

// What a thread sees of a line at once: STEP scores, masked.
template <int STEP> struct Scores {
  VALUE raw[STEP];
  float value[STEP];
};

template <int STEP> __device__ void look(Scores<STEP>& seen, const VALUE* from, const float* hidden, int place, float scale, float cap) {
  struct alignas(STEP * sizeof(VALUE)) Raw { VALUE values[STEP]; };
  struct alignas(STEP >= 4 ? 16 : 4) Hidden { float values[STEP]; };
  Raw raw = *(const Raw*)(from + place);
  Hidden mask = *(const Hidden*)(hidden + place);
  for (int index = 0; index < STEP; index++) {
    seen.raw[index] = raw.values[index];
    seen.value[index] = score(raw.values[index], mask.values[index], scale, cap);
  }
}

// The largest score of a line, for each of its threads.
template <int STEP> __device__ float largest(const VALUE* from, const float* hidden, int total, float scale, float cap) {
  Scores<STEP> seen;
  float most = LOWEST;
  for (int place = threadIdx.x * STEP; place < total; place += 32 * STEP) {
    look<STEP>(seen, from, hidden, place, scale, cap);
    for (int index = 0; index < STEP; index++) most = fmaxf(most, seen.value[index]);
  }
  return warp_max(most);
}

template <int STEP> __device__ void shares_of(const VALUE* from, const float* hidden, VALUE* to, int total, float scale, float cap) {
  struct alignas(STEP * sizeof(VALUE)) Raw { VALUE values[STEP]; };
  Scores<STEP> seen;
  float most = largest<STEP>(from, hidden, total, scale, cap), sum = 0.0f;
  for (int place = threadIdx.x * STEP; place < total; place += 32 * STEP) {
    look<STEP>(seen, from, hidden, place, scale, cap);
    for (int index = 0; index < STEP; index++) sum += __expf(seen.value[index] - most);
  }
  float inverse = 1.0f / warp_sum(sum);
  for (int place = threadIdx.x * STEP; place < total; place += 32 * STEP) {
    look<STEP>(seen, from, hidden, place, scale, cap);
    Raw shares;
    for (int index = 0; index < STEP; index++) put(shares.values[index], __expf(seen.value[index] - most) * inverse);
    *(Raw*)(to + place) = shares;
  }
}

// Shares of attention: scores [rows, heads, width, total] and a mask [masks, width, total] in, shares in the shape of the scores out; 32 threads a line.
extern "C" __global__ void attention_shares(
    const VALUE* scores, const float* mask, VALUE* shares, int lines, int masks, int heads, int width, int total, float scale, float cap) {
  int line = blockIdx.x * blockDim.y + threadIdx.y;
  if (line >= lines) return;
  long long start = (long long)line * total;
  const float* hidden = mask_of(mask, line, masks, heads, width, total);
  if (total % AT_ONCE == 0) {
    shares_of<AT_ONCE>(scores + start, hidden, shares + start, total, scale, cap);
  } else {
    shares_of<1>(scores + start, hidden, shares + start, total, scale, cap);
  }
}

template <int STEP>
__device__ void slopes_of(
    const VALUE* from, const float* hidden, const VALUE* slopes, VALUE* to, VALUE* back, int total, float scale, float cap) {
  struct alignas(STEP * sizeof(VALUE)) Raw { VALUE values[STEP]; };
  Scores<STEP> seen;
  float most = largest<STEP>(from, hidden, total, scale, cap), sum = 0.0f, along = 0.0f;
  for (int place = threadIdx.x * STEP; place < total; place += 32 * STEP) {
    look<STEP>(seen, from, hidden, place, scale, cap);
    Raw above = *(const Raw*)(slopes + place);
    for (int index = 0; index < STEP; index++) {
      float power = __expf(seen.value[index] - most);
      sum += power;
      along += power * widen(above.values[index]);
    }
  }
  float inverse = 1.0f / warp_sum(sum);
  along = warp_sum(along) * inverse;
  for (int place = threadIdx.x * STEP; place < total; place += 32 * STEP) {
    look<STEP>(seen, from, hidden, place, scale, cap);
    Raw above = *(const Raw*)(slopes + place), shares;
    for (int index = 0; index < STEP; index++) {
      float share = __expf(seen.value[index] - most) * inverse;
      float slope = share * (widen(above.values[index]) - along) * scale;
      if (cap != 0.0f) {
        float bent = tanhf(widen(seen.raw[index]) * scale / cap);
        slope *= 1.0f - bent * bent;
      }
      put(shares.values[index], share);
      put(above.values[index], slope);
    }
    *(Raw*)(to + place) = shares;
    *(Raw*)(back + place) = above;
  }
}

// The same again, with the gradient of the scores from that of the shares: both out.
extern "C" __global__ void attention_slopes(
    const VALUE* scores, const float* mask, const VALUE* of_shares, VALUE* shares, VALUE* of_scores, int lines, int masks, int heads, int width,
    int total, float scale, float cap) {
  int line = blockIdx.x * blockDim.y + threadIdx.y;
  if (line >= lines) return;
  long long start = (long long)line * total;
  const float* hidden = mask_of(mask, line, masks, heads, width, total);
  if (total % AT_ONCE == 0) {
    slopes_of<AT_ONCE>(scores + start, hidden, of_shares + start, shares + start, of_scores + start, total, scale, cap);
  } else {
    slopes_of<1>(scores + start, hidden, of_shares + start, shares + start, of_scores + start, total, scale, cap);
  }
}

// What is known of a line of logits when some of it is seen, each sum as if the largest logit so far were 0.
struct Seen {
  float most;      // largest logit
  int where;       // and the first place that has it
  float total;     // of the powers
  float squares;   // of the squared powers
  float weighted;  // of the powers times their exponents
  float plain;     // of the logits themselves
};

__device__ void see(Seen& seen, float logit, int place) {
  if (logit > seen.most) {
    float step = seen.most - logit, factor = __expf(step);
    seen.weighted = seen.total == 0.0f ? 0.0f : factor * (seen.weighted + step * seen.total);
    seen.total *= factor;
    seen.squares *= factor * factor;
    seen.most = logit;
    seen.where = place;
  }
  float below = logit - seen.most, power = __expf(below);
  seen.total += power;
  seen.squares += power * power;
  seen.weighted += power * below;
  seen.plain += logit;
}

__device__ void join(Seen& seen, const Seen& other) {
  float most = fmaxf(seen.most, other.most);
  int where = seen.most > other.most || (seen.most == other.most && seen.where < other.where) ? seen.where : other.where;
  float total = 0.0f, squares = 0.0f, weighted = 0.0f;
  const Seen* parts[2] = {&seen, &other};
  for (int index = 0; index < 2; index++) {
    const Seen& part = *parts[index];
    if (part.total == 0.0f) continue;
    float step = part.most - most, factor = __expf(step);
    total += factor * part.total;
    squares += factor * factor * part.squares;
    weighted += factor * (part.weighted + step * part.total);
  }
  seen.most = most;
  seen.where = where;
  seen.total = total;
  seen.squares = squares;
  seen.weighted = weighted;
  seen.plain += other.plain;
}

#define FIGURES 7

// What a prediction is made of: logits [targets, vocabulary] and tokens in; largest logit, whether it is the token's, the token's logit below it, sums of
// powers, of their squares and of powers times exponents, and the mean below the largest out; one block a target.
extern "C" __global__ void prediction_figures(const VALUE* logits, const int* tokens, float* figures, int vocabulary) {
  __shared__ Seen parts[THREADS];
  const VALUE* line = logits + (long long)blockIdx.x * vocabulary;
  Seen seen = {LOWEST, 0x7fffffff, 0.0f, 0.0f, 0.0f, 0.0f};
  if (vocabulary % AT_ONCE == 0) {
    for (int place = threadIdx.x * AT_ONCE; place < vocabulary; place += THREADS * AT_ONCE) {
      Pack pack = *(const Pack*)(line + place);
      for (int index = 0; index < AT_ONCE; index++) see(seen, widen(pack.values[index]), place + index);
    }
  } else {
    for (int place = threadIdx.x; place < vocabulary; place += THREADS) see(seen, widen(line[place]), place);
  }
  parts[threadIdx.x] = seen;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) join(parts[threadIdx.x], parts[threadIdx.x + half]);
  }
  if (threadIdx.x == 0) {
    const Seen& all = parts[0];
    float* out = figures + (long long)blockIdx.x * FIGURES;
    int token = tokens[blockIdx.x];
    out[0] = all.most;
    out[1] = all.where == token ? 1.0f : 0.0f;
    out[2] = widen(line[token]) - all.most;
    out[3] = all.total;
    out[4] = all.squares;
    out[5] = all.weighted;
    out[6] = all.plain / vocabulary - all.most;
  }
}

// The gradient of the logits from that of the tokens' log-probabilities: logits, tokens, their figures and slopes [targets] in, the same shape as the logits
// out; one block a target.
extern "C" __global__ void prediction_slopes(
    const VALUE* logits, const int* tokens, const float* figures, const float* slopes, VALUE* of_logits, int vocabulary) {
  const VALUE* line = logits + (long long)blockIdx.x * vocabulary;
  VALUE* to = of_logits + (long long)blockIdx.x * vocabulary;
  const float* known = figures + (long long)blockIdx.x * FIGURES;
  float most = known[0], slope = slopes[blockIdx.x], factor = -slope / known[3];
  int token = tokens[blockIdx.x];
  if (vocabulary % AT_ONCE == 0) {
    for (int place = threadIdx.x * AT_ONCE; place < vocabulary; place += THREADS * AT_ONCE) {
      Pack pack = *(const Pack*)(line + place);
      for (int index = 0; index < AT_ONCE; index++) {
        float value = factor * __expf(widen(pack.values[index]) - most);
        put(pack.values[index], place + index == token ? value + slope : value);
      }
      *(Pack*)(to + place) = pack;
    }
  } else {
    for (int place = threadIdx.x; place < vocabulary; place += THREADS) {
      float value = factor * __expf(widen(line[place]) - most);
      put(to[place], place == token ? value + slope : value);
    }
  }
}

// The function of a gate (0: silu, 1: gelu by tanh) and its derivative.
__device__ void open_gate(float x, int kind, float& value, float& slope) {
  if (kind == 0) {
    float share = 1.0f / (1.0f + __expf(-x));
    value = x * share;
    slope = share + value - value * share;
  } else {
    const float root = 0.7978845608028654f, cube = 0.044715f;
    float bend = tanhf(root * (x + cube * x * x * x)), half = 0.5f * (1.0f + bend);
    value = x * half;
    slope = half + 0.5f * x * (1.0f - bend * bend) * root * (1.0f + 3.0f * cube * x * x);
  }
}

__device__ float gated(VALUE gate, VALUE value, int kind) {
  float opened, slope;
  open_gate(widen(gate), kind, opened, slope);
  return opened * widen(value);
}

// The function of the gate times the value.
extern "C" __global__ void gate_forward(const VALUE* gate, const VALUE* value, VALUE* output, int count, int kind) {
  long long at = ((long long)blockIdx.x * THREADS + threadIdx.x) * AT_ONCE;
  if (at + AT_ONCE <= count) {
    Pack gates = *(const Pack*)(gate + at), values = *(const Pack*)(value + at);
    for (int index = 0; index < AT_ONCE; index++) put(values.values[index], gated(gates.values[index], values.values[index], kind));
    *(Pack*)(output + at) = values;
  } else {
    for (; at < count; at++) put(output[at], gated(gate[at], value[at], kind));
  }
}

__device__ void gate_slopes(VALUE& gate, VALUE& value, VALUE gradient, int kind) {
  float opened, slope, above = widen(gradient);
  open_gate(widen(gate), kind, opened, slope);
  put(gate, above * widen(value) * slope);
  put(value, above * opened);
}

// The gradients of gate and value from that of the output.
extern "C" __global__ void gate_backward(
    const VALUE* gate, const VALUE* value, const VALUE* gradient, VALUE* of_gate, VALUE* of_value, int count, int kind) {
  long long at = ((long long)blockIdx.x * THREADS + threadIdx.x) * AT_ONCE;
  if (at + AT_ONCE <= count) {
    Pack gates = *(const Pack*)(gate + at), values = *(const Pack*)(value + at), above = *(const Pack*)(gradient + at);
    for (int index = 0; index < AT_ONCE; index++) gate_slopes(gates.values[index], values.values[index], above.values[index], kind);
    *(Pack*)(of_gate + at) = gates;
    *(Pack*)(of_value + at) = values;
  } else {
    for (; at < count; at++) {
      VALUE one = gate[at], other = value[at];
      gate_slopes(one, other, gradient[at], kind);
      of_gate[at] = one;
      of_value[at] = other;
    }
  }
}

// Root-mean-square norm: input [places, size] and weight [size] in, the same shape and each place's inverse root mean square out; one block a place.
extern "C" __global__ void norm_forward(const VALUE* input, const VALUE* weight, VALUE* output, VALUE* inverse, int size, float epsilon) {
  const VALUE* from = input + (long long)blockIdx.x * size;
  VALUE* to = output + (long long)blockIdx.x * size;
  float sum = 0.0f;
  for (int place = threadIdx.x; place < size; place += THREADS) sum += widen(from[place]) * widen(from[place]);
  float factor = 1.0f / sqrtf(block_sum(sum) / size + epsilon);
  for (int place = threadIdx.x; place < size; place += THREADS) put(to[place], widen(from[place]) * factor * widen(weight[place]));
  if (threadIdx.x == 0) put(inverse[blockIdx.x], factor);
}

// The gradient of the norm's input from that of its output.
extern "C" __global__ void norm_backward(
    const VALUE* input, const VALUE* weight, const VALUE* inverse, const VALUE* gradient, VALUE* of_input, int size) {
  const VALUE* from = input + (long long)blockIdx.x * size;
  const VALUE* above = gradient + (long long)blockIdx.x * size;
  VALUE* to = of_input + (long long)blockIdx.x * size;
  float factor = widen(inverse[blockIdx.x]), sum = 0.0f;
  for (int place = threadIdx.x; place < size; place += THREADS) sum += widen(above[place]) * widen(weight[place]) * widen(from[place]) * factor;
  float along = block_sum(sum) / size;
  for (int place = threadIdx.x; place < size; place += THREADS)
    put(to[place], (widen(above[place]) * widen(weight[place]) - widen(from[place]) * factor * along) * factor);
}

// Heads [places, heads, size] with the pairs (i, i + half) of each turned by the angles of its place, [places, half]; `direction` -1 turns back.
extern "C" __global__ void rotate(
    const VALUE* input, const float* cosine, const float* sine, VALUE* output, int count, int heads, int size, int half, float direction) {
  long long at = (long long)blockIdx.x * THREADS + threadIdx.x;
  if (at >= count) return;
  int element = at % size;
  float own = widen(input[at]);
  if (element < 2 * half) {
    long long angle = at / ((long long)size * heads) * half + element % half;
    bool first = element < half;
    float other = widen(input[first ? at + half : at - half]);
    own = own * cosine[angle] + (first ? -direction : direction) * other * sine[angle];
  }
  put(output[at], own);
}

// The factor of gradients, from the sums of their squares, that brings their norm to at most `most` (0: any); no number where the norm is none.
extern "C" __global__ void clipping(const float* sums, float* factor, int count, float most) {
  __shared__ double parts[THREADS];
  double sum = 0.0;
  for (int at = threadIdx.x; at < count; at += THREADS) sum += sums[at];
  parts[threadIdx.x] = sum;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
  }
  if (threadIdx.x == 0) {
    double norm = sqrt(parts[0]);
    double clipped = most > 0.0f ? fmin(1.0, most / (norm + 1e-6)) : 1.0;
    factor[0] = isfinite(norm) ? (float)clipped : nanf("");
  }
}

// A step of AdamW, as `optimizer.rs` has it; where the factor is no number, nothing is changed.
extern "C" __global__ void adamw(
    const VALUE* weight, const VALUE* gradient, const VALUE* first, const VALUE* second, const float* factor, VALUE* new_weight, VALUE* new_first,
    VALUE* new_second, int count, float keep, float beta1, float beta2, float epsilon, float step, float root) {
  long long at = (long long)blockIdx.x * THREADS + threadIdx.x;
  if (at >= count) return;
  if (!isfinite(factor[0])) {
    new_weight[at] = weight[at];
    new_first[at] = first[at];
    new_second[at] = second[at];
    return;
  }
  float slope = widen(gradient[at]) * factor[0];
  float mean = beta1 * widen(first[at]) + (1.0f - beta1) * slope;
  float square = beta2 * widen(second[at]) + (1.0f - beta2) * slope * slope;
  put(new_first[at], mean);
  put(new_second[at], square);
  put(new_weight[at], widen(weight[at]) * keep - step * mean / (sqrtf(square) * root + epsilon));
}

// The sum of squares of each block's part of the values, written from `first` on.
extern "C" __global__ void squares(const VALUE* values, float* sums, int count, int first) {
  float sum = 0.0f;
  for (long long at = (long long)blockIdx.x * THREADS + threadIdx.x; at < count; at += (long long)gridDim.x * THREADS) sum += widen(values[at]) * widen(values[at]);
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[first + blockIdx.x] = sum;
}

// What codes of 4 bits stand for, eight in a word: their table's value times their block's scale.
extern "C" __global__ void nf4_values(const unsigned* words, const float* scales, const float* table, VALUE* output, int count, int block_size) {
  long long word = (long long)blockIdx.x * THREADS + threadIdx.x, at = word * 8;
  if (at >= count) return;
  unsigned codes = words[word];
  for (int index = 0; index < 8 && at + index < count; index++)
    put(output[at + index], table[(codes >> (4 * index)) & 15] * scales[(at + index) / block_size]);
}
