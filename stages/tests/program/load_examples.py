"""Loads `sft.jsonl`, `dpo.jsonl` and `checkpoint/` as TRL's users do, and sees that TRL trains on what it is to train on, token by token
what `prepared/sft.jsonl` and `prepared/dpo.jsonl` say."""

import json

import datasets
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

tokenizer = AutoTokenizer.from_pretrained("checkpoint")
model = AutoModelForCausalLM.from_pretrained("checkpoint")
rows = {name: datasets.load_dataset("json", data_files=f"{name}.jsonl", split="train") for name in ("sft", "dpo")}
settings = dict(output_dir="out", report_to=[], use_cpu=True, bf16=False, max_length=512)

sft = SFTTrainer(model, SFTConfig(**settings), train_dataset=rows["sft"], processing_class=tokenizer)
ours = {name: [json.loads(line) for line in open(f"prepared/{name}.jsonl")] for name in ("sft", "dpo")}
assert len(sft.train_dataset) == len(rows["sft"]) == len(ours["sft"])
for example, row, own in zip(rows["sft"], sft.train_dataset, ours["sft"]):
    batch = sft.data_collator([row])
    labels = batch["labels"][0]
    assert batch["input_ids"][0].tolist() == own["input_ids"] and labels.tolist() == own["labels"]
    trained = batch["input_ids"][0][labels != -100]
    assert labels[labels != -100].tolist() == trained.tolist()
    said = tokenizer.decode(trained)
    # The completion and the end of the turn, and nothing of the prompt.
    assert said == example["completion"][0]["content"] + tokenizer.eos_token, said

dpo = DPOTrainer(model, args=DPOConfig(**settings), train_dataset=rows["dpo"], processing_class=tokenizer)
assert len(dpo.train_dataset) == len(rows["dpo"]) == len(ours["dpo"])
for row, own in zip(dpo.train_dataset, ours["dpo"]):
    assert all(list(row[name]) == own[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids")), (row, own)
