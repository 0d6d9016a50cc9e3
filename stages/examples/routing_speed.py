"""How fast transformers decides between routes, beside `routing_speed.rs`: one line of JSON with milliseconds a decision out.

    python stages/examples/routing_speed.py FOLDER 20

`FOLDER` is the same: a checkpoint and `router_prompts.json`. `fresh` gives the model each prompt with each candidate, `cached` gives it the keys and
values of what all prompts begin with, then the rest of the prompt once, then the candidates.
"""

import copy
import json
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, count = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(2)
case = json.load(open(os.path.join(folder, "router_prompts.json")))
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()


def tokens(prompt):
    return tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]


candidates = [tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] for text in case["candidates"]]
longest = max(map(len, candidates))
padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids in candidates])
counts = torch.tensor([[1.0] * len(ids) + [0.0] * (longest - len(ids)) for ids in candidates])
rendered = [tokens(prompt) for prompt in case["prompts"]]
shared = 0
while all(ids[shared] == rendered[0][shared] for ids in rendered):
    shared += 1
with torch.inference_mode():
    opening = model(input_ids=torch.tensor([rendered[0][:shared]]), use_cache=True, logits_to_keep=1).past_key_values


@torch.inference_mode()
def fresh(prompts):
    """Scores, by prompt and candidate; 16 prompts at a time, which is faster than all."""
    scores = []
    for start in range(0, len(prompts), 16):
        rows = [(ids, candidate) for ids in map(tokens, prompts[start : start + 16]) for candidate in candidates]
        width = max(len(ids) + len(candidate) for ids, candidate in rows)
        batch = torch.tensor([ids + candidate + [0] * (width - len(ids) - len(candidate)) for ids, candidate in rows])
        mask = torch.tensor([[1] * (len(ids) + len(candidate)) + [0] * (width - len(ids) - len(candidate)) for ids, candidate in rows])
        first = min(len(ids) for ids, _ in rows) - 1
        shares = model(input_ids=batch, attention_mask=mask, use_cache=False, logits_to_keep=width - first).logits.log_softmax(-1)
        for row, (ids, candidate) in enumerate(rows):
            places = torch.arange(len(candidate)) + len(ids) - 1 - first
            scores.append(shares[row, places, torch.tensor(candidate)].sum())
    return torch.stack(scores).view(len(prompts), len(candidates))


@torch.inference_mode()
def cached(prompts):
    rests = [tokens(prompt)[shared:] for prompt in prompts]
    width, number = max(map(len, rests)), len(candidates)
    ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(rest)) + rest for rest in rests])
    mask = torch.tensor([[1] * shared + [0] * (width - len(rest)) + [1] * len(rest) for rest in rests])
    cache = copy.deepcopy(opening)
    if len(prompts) > 1:
        cache.batch_repeat_interleave(len(prompts))
    positions = (mask.cumsum(1) - 1)[:, shared:]
    out = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
    first = out.logits[:, -1].log_softmax(-1).repeat_interleave(number, 0)
    cache.batch_repeat_interleave(number)
    answers, counted = padded.repeat(len(prompts), 1), counts.repeat(len(prompts), 1)
    mask = torch.cat([mask.repeat_interleave(number, 0), torch.ones_like(answers)], 1)
    positions = (mask.cumsum(1) - 1)[:, -longest:]
    shares = model(input_ids=answers, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True).logits.log_softmax(-1)
    later = shares[:, :-1].gather(-1, answers[:, 1:, None])[..., 0] * counted[:, 1:]
    return (first.gather(-1, answers[:, :1])[:, 0] + later.sum(1)).view(len(prompts), number)


some = case["prompts"][:5]
assert (fresh(some) - cached(some)).abs().max() < 1e-2, "both ways give the same scores"
for together in (1, 64):
    figures = {"batch": together}
    for name, decide in (("cached", cached), ("fresh", fresh)):
        times = []
        for call in range(-(-count // together) + 2):
            prompts = [case["prompts"][(call * together + index) % len(case["prompts"])] for index in range(together)]
            start = time.perf_counter()
            decide(prompts)
            times.append((time.perf_counter() - start) * 1000 / together)
        times = sorted(times[2:])
        figures |= {f"{name}_p50_ms": round(times[len(times) // 2], 2), f"{name}_best_ms": round(times[0], 2)}
    print(json.dumps(figures))
