"""Callbacks that write each epoch to MLflow or TensorBoard: `model.fit(df, callback=mlflow_callback())`."""

MEASURES = ("loss", "auc", "hr@10", "ndcg@10", "lr", "samples_per_second")


def measures(report):
    return {name: report[name] for name in MEASURES if name in report}


def mlflow_callback():
    """To the MLflow run that is active."""
    import mlflow

    def callback(report):
        # MLflow knows no @ in names.
        values = {name.replace("@", "_at_"): value for name, value in measures(report).items()}
        mlflow.log_metrics(values, step=report["epoch"])

    return callback


def tensorboard_callback(folder):
    """To a folder that TensorBoard reads."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(folder)

    def callback(report):
        for name, value in measures(report).items():
            writer.add_scalar(name, value, report["epoch"])
        writer.flush()

    return callback


def until(measure, patience=2):
    """Ends the training when a measure has not risen for some epochs."""
    best, waited = float("-inf"), 0

    def callback(report):
        nonlocal best, waited
        best, waited = (report[measure], 0) if report[measure] > best else (best, waited + 1)
        return waited < patience

    return callback
