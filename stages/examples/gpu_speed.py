"""How fast TRL with PEFT trains what `gpu_speed.rs` trains, on the same device: one line of JSON out.

    python stages/examples/gpu_speed.py cuda lora 8 1024 10

gemma-2b's shapes with random weights, in bfloat16, an adapter on all projections, rows of tokens that mean nothing. Each row is one document, so
that PyTorch takes its fastest attention. Another mode than `lora` takes a model that any machine has room for.
"""

import json
import os
import sys
import tempfile
import time
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

import torch
import transformers
from datasets import Dataset
from peft import LoraConfig
from tokenizers import Tokenizer, models
from transformers import GemmaConfig, GemmaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

SKIPPED = 3

device, mode, rows, width, steps = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
if mode == "lora":
    sizes = dict(vocab_size=256_000, hidden_size=2048, intermediate_size=16_384, num_hidden_layers=18, num_attention_heads=8, head_dim=256)
else:
    sizes = dict(vocab_size=2048, hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, head_dim=32)
torch.manual_seed(1)
torch.set_default_dtype(torch.bfloat16)
with torch.device(device):
    config = GemmaConfig(**sizes, num_key_value_heads=1, hidden_activation="gelu_pytorch_tanh", attn_implementation="sdpa")
    model = GemmaForCausalLM(config)
torch.set_default_dtype(torch.float32)
count = sum(parameter.numel() for parameter in model.parameters())
ids = torch.randint(3, sizes["vocab_size"], ((SKIPPED + steps) * rows, width)).tolist()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1, "<unk>": 2}, "<unk>")))
tokenizer.pad_token, tokenizer.eos_token = "<pad>", "<eos>"
seconds = []


class Clock(TrainerCallback):
    def on_step_end(self, *arguments, **named):
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter())


with tempfile.TemporaryDirectory() as folder:
    settings = SFTConfig(
        output_dir=folder, max_steps=SKIPPED + steps, per_device_train_batch_size=rows, learning_rate=1e-4, bf16=True, max_length=width,
        gradient_checkpointing=False, logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=device == "cpu",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    adapter = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear")
    dataset = Dataset.from_dict({"input_ids": ids, "labels": ids})
    trainer = SFTTrainer(model=model, args=settings, train_dataset=dataset, processing_class=tokenizer, peft_config=adapter)
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    trainer.add_callback(Clock())
    trainer.train()
steps_took = sorted(after - before for before, after in zip(seconds[SKIPPED - 1 :], seconds[SKIPPED:]))
median = steps_took[len(steps_took) // 2]
print(json.dumps({
    "tool": "trl", "device": device, "mode": mode, "rows": rows, "width": width, "parameters": count, "seconds_per_step_median": median,
    "seconds_per_step_best": steps_took[0], "tokens_per_second": round(rows * width / median), "tflops": 4 * count * rows * width / median / 1e12,
    "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if device != "cpu" else None,
    "losses": [log["loss"] for log in trainer.state.log_history if "loss" in log],
}))
