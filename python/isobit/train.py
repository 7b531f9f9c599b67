"""Training runs and their checkpoints."""

from isobit._core.train import *  # noqa: F401,F403
from isobit._core.train import Trainer as _Trainer


def run_with_progress(trainer, **options):
    """trainer.run(**options) with a bar of tqdm that shows the epoch, the mean loss, the rate and, once there is one, the
    accuracy. Hooks that are given are called as well."""
    from tqdm.auto import tqdm

    given = {name: options.pop(name, None) for name in ("step", "epoch")}
    last = options.get("steps") or trainer.total_steps()
    with tqdm(total=min(last, trainer.total_steps()), initial=trainer.at.step, unit="step") as bar:
        shown = {}

        def step(progress):
            shown.update(epoch=progress.at.epoch, loss=f"{progress.mean_loss:.4f}", lr=f"{progress.lr:.4g}")
            bar.set_postfix(shown, refresh=False)
            bar.update(1)
            if given["step"]:
                given["step"](progress)

        def epoch(progress, evaluation):
            if evaluation is not None:
                shown.update(accuracy=f"{evaluation.accuracy:.2%}")
                bar.set_postfix(shown)
            if given["epoch"]:
                given["epoch"](progress, evaluation)

        return trainer.run(step=step, epoch=epoch, **options)


_Trainer.run_with_progress = run_with_progress
