"""Tables larger than one machine: scores and samples in parquet files, one for each partition, by any number of
workers."""

from pushforward.extras import requires

with requires("cluster", purpose="pushforward.partitions"):
    from pushforward.partitions.models import DrawsRows, SavedModel, ScoresRows
    from pushforward.partitions.record_batches import ScoreBatches
    from pushforward.partitions.report import Report
    from pushforward.partitions.sampling import sample
    from pushforward.partitions.scoring import score

__all__ = ["DrawsRows", "Report", "SavedModel", "ScoreBatches", "ScoresRows", "sample", "score"]
